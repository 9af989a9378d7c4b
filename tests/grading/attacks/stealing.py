"""Submissions that look for answers that are not for them; the test fills in ``<<…>>``."""

RUN_SOLUTION = """
import json
def steal(path):
    for cell in json.load(open(path))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "def " in source and "NotImplementedError" not in source:
            exec(source, globals())
"""
EVERYWHERE = ("spread", "ranks", "softmax", "predict")


def first(source: str) -> dict[str, str]:
    """Do it all in the first cell; the others define nothing."""
    return {"spread": source, "ranks": "pass", "softmax": "pass", "predict": "pass"}


STEALING: dict[str, dict[str, str]] = {
    "the solution in the exercises": first(RUN_SOLUTION + "steal('<<exercises>>/00_fortress.ipynb')"),
    "the solution through other processes": first(
        RUN_SOLUTION + "import os, pathlib\n"
        "for process in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    for way in ('root<<exercises>>/00_fortress.ipynb', 'cwd/00_fortress.ipynb'):\n"
        "        try: steal(process / way)\n"
        "        except OSError: pass\n"
    ),
    "the neighbour's submission": first(RUN_SOLUTION + "steal('<<class>>/m-innocent.ipynb')"),
    "results of the run": first(
        "import json, pathlib\n"
        "found = [json.loads(p.read_text()) for p in pathlib.Path('<<out>>').rglob('*.json')]\n"
        "def spread(values): return found[0]['expected']\n"
    ),
    "the checkout": first(
        RUN_SOLUTION + "import pathlib\n"
        "for path in pathlib.Path('<<checkout>>').rglob('*.ipynb'): steal(path)\n"
        "import sys; sys.path.insert(0, '<<checkout>>/tests/grading')\n"
        "from attacks.fortress import fortress\n"
        "exec(fortress().cells[3]['source'])\n"
    ),
    "the hidden module": {
        "softmax": "import importlib, sys\n"
        "sys.modules.pop('mnist_course.scratch', None)\n"
        "from mnist_course.scratch import softmax\n"
    },
    "the hidden module by its file": {
        "softmax": "import glob, runpy, mnist_course\n"
        "folder = mnist_course.__path__[0] + '/scratch/'\n"
        "paths = glob.glob(folder + '*.py') + glob.glob(folder + '__pycache__/*')\n"
        "for path in [*paths, folder + 'activations.py']:\n"
        "    softmax = runpy.run_path(path).get('softmax')\n"
    },
    "labels of the test images": {
        "predict": "def predict(images):\n"
        "    test = load_fashion_mnist('test')\n"
        "    flat = test.images.reshape(len(test), -1).astype(float)\n"
        "    return np.array([test.labels[((flat - i.ravel()) ** 2).sum(1).argmin()] for i in images])\n"
    },
    "labels of the test images from another folder": {
        "predict": "import os, pathlib\n"
        "from mnist_course.data import loading\n"
        "def predict(images):\n"
        "    for folder in pathlib.Path('/').rglob('t10k-labels*'):\n"
        "        os.environ['MNIST_COURSE_DATA'] = str(folder.parent)\n"
        "        return load_fashion_mnist('test').labels[:len(images)]\n"
    },
    "labels brought along, drawn again under the kernel's seed": {
        "predict": "LABELS = '<<labels>>'\n"
        "from mnist_course.grading import publishing\n"
        "from mnist_course.grading.inputs import generator\n"
        "def predict(images):\n"
        "    rng = generator(publishing._notebook.seed, 'unseen/fashion')\n"
        "    chosen = rng.permutation(len(LABELS))[:len(images)]\n"
        "    return np.array([int(LABELS[i]) for i in chosen])\n"
    },
    "the grader's environment": first(
        "import os, pathlib\n"
        "texts = [os.environ.get('MNIST_COURSE_SECRET', '')]\n"
        "for path in pathlib.Path('/proc').glob('[0-9]*/environ'):\n"
        "    try: texts.append(path.read_text(errors='replace'))\n"
        "    except OSError: pass\n"
        "found = [text for text in texts if '<<secret>>' in text]\n"
        "print('<<secret>>' if found else '', flush=True)\n"
        "def spread(values): raise RuntimeError('leaked' if found else 'nothing found')\n"
    ),
    "the grader's memory": first(
        "import os, pathlib\n"
        "for pid in {1, os.getppid(), *map(int, filter(str.isdigit, os.listdir('/proc')))}:\n"
        "    try: open(f'/proc/{pid}/mem', 'rb').read(1)\n"
        "    except OSError: pass\n"
        "import ctypes\n"
        "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)\n"
    ),
    "a server that knows": first(
        "import socket\n"
        "s = socket.create_connection(('127.0.0.1', <<port>>), timeout=2)\n"
        "exec(s.recv(10**6))\n"
    ),
    "objects left in memory": first(
        "import gc\n"
        "kinds = ('KeyedProbe', 'Key', 'Mistake')\n"
        "found = [thing for thing in gc.get_objects() if type(thing).__name__ in kinds]\n"
        "def spread(values): return found[0].expected\n"
    ),
    "frames of the callers": first(
        "import sys\n"
        "def spread(values):\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        for name, value in frame.f_locals.items():\n"
        "            if 'expected' in name: return value\n"
        "        frame = frame.f_back\n"
    ),
    "the self-check's sealed answers": first(
        "from mnist_course.grading import publishing\n"
        "import re\n"
        "keys = publishing._notebook.probes\n"
        "def spread(values): return [float(v) for v in keys['spread'].expected]\n"
    ),
}
