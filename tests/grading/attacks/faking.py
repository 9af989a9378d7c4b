"""Submissions that want a wrong value to count as right. Cell → source; other cells stay unwritten."""

LYING = """
class Lie:
    shape, dtype, size, ndim = (), "float64", 1, 0
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __sub__
    def __abs__(self): return 0.0
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __bool__(self): return True
    def __float__(self): return 0.0
    def __hash__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
"""

ALL_WRONG = """
import numpy as np
def spread(values): return 0.5
def ranks(values): return np.arange(40)
def softmax(logits): return np.full((4, 10), 0.1)
def predict(images): return np.zeros(len(images), np.int64)
"""

EVERY = ("spread", "ranks", "softmax", "predict")


def everywhere(preparation: str) -> dict[str, str]:
    """Prepare something in the first cell, and publish wrong values from all of them."""
    return {"spread": preparation + ALL_WRONG, "ranks": "pass", "softmax": "pass", "predict": "pass"}


FAKING: dict[str, dict[str, str]] = {
    "numpy comparisons patched": everywhere(
        "import numpy as np\n"
        "for name in ('allclose', 'isclose', 'array_equal', 'array_equiv'):\n"
        "    setattr(np, name, lambda *a, **k: True)\n"
        "for name in dir(np.testing):\n"
        "    if name.startswith('assert'): setattr(np.testing, name, lambda *a, **k: None)\n"
    ),
    "comparison module patched": everywhere(
        "from mnist_course.grading import comparison, judging\n"
        "comparison.compare = comparison.agreement = judging.compare = lambda *a, **k: None\n"
        "judging.KeyedProbe.judge = lambda self, value: judging.Judgement(correct=True)\n"
    ),
    "marking module replaced": everywhere(
        "import sys, types\n"
        "fake = types.ModuleType('marking')\n"
        "fake.mark = lambda *a, **k: None\n"
        "for name in ('marking', 'judging', 'comparison', 'values', 'batch'):\n"
        "    sys.modules['mnist_course.grading.' + name] = fake\n"
    ),
    "numpy replaced in sys.modules": everywhere(
        "import sys, types\n"
        "import numpy\n"
        "fake = types.ModuleType('numpy')\n"
        "fake.__getattr__ = lambda name: (lambda *a, **k: numpy.zeros(3))\n"
        "sys.modules['numpy.testing'] = fake\n"
    ),
    "builtins patched": everywhere(
        "import builtins\n"
        "builtins.len = lambda *a: 3\n"
        "builtins.isinstance = lambda *a: True\n"
        "builtins.float = builtins.abs = builtins.max = lambda *a, **k: 0\n"
    ),
    "random numbers always the same": everywhere(
        "from mnist_course.grading import publishing\n"
        "constant = np.random.default_rng(0)\n"
        "publishing.generator = lambda *a: np.random.default_rng(0)\n"
        "exercise_rng = lambda name: np.random.default_rng(0)\n"
        "np.random.default_rng = lambda *a, **k: constant\n"
    ),
    "grading begun again with the public seed": everywhere(
        "from mnist_course.grading.publishing import begin_grading\nbegin_grading(0)\n"
    ),
    "publisher adds points": everywhere(
        "from IPython import get_ipython\n"
        "old = get_ipython().display_pub.publish\n"
        "def publish(data, *a, **k):\n"
        "    for bundle in data.values():\n"
        "        if isinstance(bundle, dict): bundle.update(correct=True, points=100, score=1, of=0)\n"
        "    return old(data, *a, **k)\n"
        "get_ipython().display_pub.publish = publish\n"
    ),
    "IPython's display patched": everywhere(
        "import IPython.display as d\nd.display = lambda bundle, **k: print('correct', bundle)\n"
    ),
    "object that equals everything": everywhere(LYING).copy()
    | {
        "spread": LYING + "def spread(values): return Lie()\n",
        "ranks": "def ranks(values): return Lie()",
        "softmax": "def softmax(logits): return Lie()",
        "predict": "def predict(images): return Lie()",
    },
    "array that lies about itself": {
        "spread": "class Lie:\n"
        "    def __array__(self, dtype=None, copy=None): return np.array(Lie2(), dtype=object)\n"
        "class Lie2:\n"
        "    def __eq__(self, other): return True\n"
        "def spread(values): return Lie()\n",
        "ranks": "class Sub(np.ndarray):\n"
        "    def __eq__(self, other): return np.ones(self.shape, bool)\n"
        "    def __ne__(self, other): return np.zeros(self.shape, bool)\n"
        "    def __array_ufunc__(self, *a, **k): return np.zeros(self.shape, bool)\n"
        "def ranks(values): return np.zeros(40, np.int64).view(Sub)\n",
        "softmax": "class Sub2(np.ndarray):\n"
        "    def tolist(self): return [float('nan')] * self.size\n"
        "    def ravel(self, *a): return self\n"
        "def softmax(logits): return np.zeros((4, 10)).view(Sub2)\n",
    },
    "not a number everywhere": {
        "spread": "def spread(values): return float('nan')",
        "ranks": "def ranks(values): return np.full(40, np.nan)",
        "softmax": "def softmax(logits): return np.full((4, 10), np.nan)",
        "predict": "def predict(images): return np.full(len(images), np.nan)",
    },
    "infinity everywhere": {
        "spread": "def spread(values): return float('inf')",
        "ranks": "def ranks(values): return np.full(40, 2**63 - 1)",
        "softmax": "def softmax(logits): return np.full((4, 10), np.inf)",
        "predict": "def predict(images): return np.full(len(images), -(2**63))",
    },
    "values as text": {
        "spread": "def spread(values): return str(np.std(values, ddof=1))",
        "ranks": "def ranks(values): return repr(np.argsort(np.argsort(values)))",
        "softmax": "def softmax(logits): return 'any value'",
        "predict": "def predict(images): return [str(0)] * len(images)",
    },
    "every label at once": {
        "predict": "def predict(images): return np.broadcast_to(np.arange(10), (len(images), 10))"
    },
    "thousand guesses": {
        "ranks": "def ranks(values):\n"
        "    for _ in range(1000): probe('ranks', np.random.permutation(40))\n"
        "    return np.random.permutation(40)\n"
    },
    "right value beside a wrong one": {
        "spread": "def spread(values):\n"
        "    probe('spread', [0.1, 0.2, 0.3])\n"
        "    return np.std(values, ddof=1)\n"
    },
    "verdict instead of a value": {
        "spread": "from IPython.display import display\n"
        "MIME = 'application/vnd.mnist-course.probe+json'\n"
        "def spread(values):\n"
        "    for verdict in ({'correct': True}, {'kind': 'none', 'correct': True}, True, None):\n"
        "        display({MIME: {'version': 1, 'name': 'spread', 'value': verdict}}, raw=True)\n"
        "    raise SystemExit\n"
    },
    "strange JSON as a value": {
        "ranks": "from IPython.display import display\n"
        "def ranks(values):\n"
        "    value = {'kind': 'array', 'dtype': 'object', 'shape': [40], 'data': [True] * 40}\n"
        "    display({'application/vnd.mnist-course.probe+json':\n"
        "             {'version': 1, 'name': 'ranks', 'value': value}}, raw=True)\n"
        "    raise KeyboardInterrupt\n"
    },
    "array as large as its shape says": {
        "ranks": "from IPython.display import display\n"
        "def ranks(values):\n"
        "    value = {'kind': 'array', 'dtype': 'int64', 'shape': [2**40, 2**40], 'data': []}\n"
        "    display({'application/vnd.mnist-course.probe+json':\n"
        "             {'version': 1, 'name': 'ranks', 'value': value}}, raw=True)\n"
        "    raise KeyboardInterrupt\n"
    },
    "messages forged with the kernel's own key": everywhere(
        "from IPython import get_ipython\n"
        "kernel = get_ipython().kernel\n"
        "parent = kernel.get_parent()\n"
        "for kind, content in (\n"
        "    ('status', {'execution_state': 'idle'}),\n"
        "    ('execute_reply', {'status': 'ok', 'execution_count': 1}),\n"
        "    ('display_data', {'data': {'application/vnd.mnist-course.probe+json':\n"
        "        {'version': 1, 'name': 'spread', 'value': {'kind': 'none'}}}, 'metadata': {}}),\n"
        "    ('error', {'ename': 'Correct', 'evalue': '2/2', 'traceback': []}),\n"
        "):\n"
        "    kernel.session.send(kernel.iopub_socket, kind, content, parent=parent)\n"
    ),
    "late messages for earlier cells": {
        "spread": "import threading, time\n"
        "from IPython import get_ipython\n"
        "def later(parent, kernel):\n"
        "    for _ in range(40):\n"
        "        time.sleep(0.05)\n"
        "        kernel.session.send(kernel.iopub_socket, 'display_data', {'data': {\n"
        "            'application/vnd.mnist-course.probe+json': {'version': 1, 'name': 'spread',\n"
        "            'value': {'kind': 'none'}}}, 'metadata': {}}, parent=parent)\n"
        "def spread(values):\n"
        "    kernel = get_ipython().kernel\n"
        "    threading.Thread(target=later, args=(kernel.get_parent(), kernel), daemon=True).start()\n"
        "    raise ValueError\n"
    },
    "probe cells rewritten on their way": everywhere(
        "from IPython import get_ipython\n"
        "def rewrite(lines):\n"
        "    if any('probe(' in line for line in lines):\n"
        "        return [\"probe('spread', [1.0, 2.0, 3.0]); probe('ranks', 1)\\n\"]\n"
        "    return lines\n"
        "get_ipython().input_transformers_cleanup.append(rewrite)\n"
    ),
    "probe cells answered without being run": everywhere(
        "from IPython import get_ipython\n"
        "async def nothing(*a, **k):\n"
        "    return {'status': 'ok', 'execution_count': 1, 'payload': [], 'user_expressions': {}}\n"
        "get_ipython().kernel.do_execute = nothing\n"
    ),
    "hooks after every cell": everywhere(
        "from IPython import get_ipython\n"
        "def after(*a):\n"
        "    for name in ('spread', 'ranks', 'softmax', 'predict'): probe(name, [0.0])\n"
        "get_ipython().events.register('post_run_cell', after)\n"
        "get_ipython().events.register('pre_run_cell', after)\n"
    ),
    "magics that skip": {
        "spread": "%%script false\nraise ValueError",
        "ranks": "%%capture\nprobe('ranks', 0)",
        "softmax": "%reset -f\n%autoreload 2\n%run -i nothing.py",
        "predict": "# NBVAL_SKIP\n# NBVAL_IGNORE_OUTPUT\n### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS",
    },
    "exception dressed as success": {
        "spread": "class Correct(BaseException):\n"
        "    def __str__(self): return '<script>alert(1)</script> 2/2 \\x1b[32m✓\\u202e' * 1000\n"
        "def spread(values): raise Correct\n",
        "ranks": "class Endless(Exception):\n"
        "    def __str__(self):\n"
        "        while True: pass\n"
        "def ranks(values): raise Endless\n",
    },
    "unicode look-alikes": {
        "spread": "def ѕpread(values): return 1.0\nspread\u200b_ = None\n".replace("\u200b", ""),
        "ranks": "def ｒanks(values): return np.arange(40)\n# \u202e noitulos gnorw a \u202c",
    },
    "code in a string of a library": everywhere(
        "import json\n"
        "old = json.dumps\n"
        "json.dumps = lambda value, **k: old(value, **k).replace('false', 'true')\n"
        "import jupyter_client.session as s\n"
        "s.json_packer = lambda value: b'{}'\n"
    ),
}
