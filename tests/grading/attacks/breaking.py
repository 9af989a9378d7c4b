"""Submissions that want to hurt: this machine, the run, or the neighbours."""

FROM_HERE = "<<writable>>"


def first(source: str) -> dict[str, str]:
    """Do it in the first cell; the others define nothing."""
    return {"spread": source, "ranks": "pass", "softmax": "pass", "predict": "pass"}


# The ones that end at the deadline; each costs that long.
ENDLESS: dict[str, dict[str, str]] = {
    "endless loop": first("while True: pass"),
    "endless loop that catches everything": first(
        "import signal, time\n"
        "for number in range(1, 64):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True:\n"
        "    try:\n"
        "        while True: time.sleep(0.01)\n"
        "    except BaseException: continue\n"
    ),
    "endless loop in C": first("import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')"),
    "stopped process": first("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    "question without an answer": first("import sys\nsys.stdin = open('/dev/zero')\nsys.stdin.read()"),
    "fork bomb of small processes": first(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    ),
    "hundred busy processes": first(
        "import os\n"
        "for _ in range(100):\n"
        "    if os.fork() == 0:\n"
        "        while True: pass\n"
        "while True: pass\n"
    ),
}

BREAKING: dict[str, dict[str, str]] = ENDLESS | {
    "exit": first("import os\nos._exit(0)"),
    "exit with the code of a success": first(
        "import sys, IPython\nIPython.get_ipython().kernel.do_shutdown(False)\nsys.exit(0)\n"
    ),
    "segmentation fault": first("import ctypes\nctypes.string_at(0)"),
    "abort": first("import os\nos.abort()"),
    "kill everything": first(
        "import os, signal\n"
        "for pid in (os.getppid(), 1, -1):\n"
        "    try: os.kill(pid, signal.SIGKILL)\n"
        "    except OSError: pass\n"
    ),
    "stack overflow": first(
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)"
    ),
    "threads that outlive the cell": first(
        "import threading, time\n"
        "def forever():\n"
        "    while True:\n"
        "        print('still here', flush=True); time.sleep(0.01)\n"
        "for _ in range(8): threading.Thread(target=forever, daemon=False).start()\n"
    ),
    "processes that outlive the kernel": first(
        "import os\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0: os.execv('/bin/sleep', ['<<marker>>', '600'])\n"
        "        os._exit(0)\n"
        "os._exit(0)\n"
    ),
    "memory": first("block = []\nwhile True: block.append(bytearray(1 << 26))"),
    "memory of many processes": first(
        "import os, time\nfor _ in range(3): os.fork()\nblock = b'x' * (300 << 20)\ntime.sleep(60)\n"
    ),
    "shared memory": first(
        "import mmap\n"
        "blocks = []\n"
        "while True:\n"
        "    blocks.append(mmap.mmap(-1, 1 << 28)); blocks[-1].write(b'x' * (1 << 28))\n"
    ),
    "disk": first(
        "import itertools\n"
        "for folder in ('.', '/tmp', '/dev/shm', '/var/tmp', '<<writable>>', '/kernel'):\n"
        "    try:\n"
        "        for number in itertools.count():\n"
        "            with open(f'{folder}/full-{number}', 'wb') as file: file.write(bytes(1 << 25))\n"
        "    except OSError: pass\n"
    ),
    "small files without end": first(
        "import itertools, os\n"
        "for number in itertools.count(): os.close(os.open(str(number), os.O_CREAT))\n"
    ),
    "300 MB of output": first("for _ in range(300): print('x' * (1 << 20))"),
    "300 MB past Python": first("import os\nfor _ in range(300): os.write(1, b'x' * (1 << 20))"),
    "100,000 messages": first(
        "from IPython.display import display\nfor number in range(100_000): display(number)\n"
    ),
    "one message of 500 MB": first(
        "from IPython.display import display\ndisplay({'text/plain': 'x' * (500 << 20)}, raw=True)\n"
    ),
    "one message in endless parts": first(
        "import zmq\n"
        "from IPython import get_ipython\n"
        "socket = get_ipython().kernel.iopub_socket\n"
        "socket = getattr(socket, 'io_thread', socket)\n"
        "socket = getattr(socket, 'socket', socket)\n"
        "while True: socket.send(b'x' * (1 << 20), zmq.SNDMORE)\n"
    ),
    "deeply nested message": first(
        "from IPython import get_ipython\n"
        "kernel = get_ipython().kernel\n"
        "import jupyter_client.session\n"
        "kernel.session.pack = lambda value: b'[' * 100_000 + b']' * 100_000\n"
        "kernel.session.send(kernel.iopub_socket, 'display_data', {})\n"
    ),
    "broken connections": first(
        "import gc, zmq\n"
        "for thing in gc.get_objects():\n"
        "    if isinstance(thing, zmq.Socket):\n"
        "        try: thing.close(0)\n"
        "        except Exception: pass\n"
    ),
    "own sockets in the place of the kernel's": first(
        "import glob, json, os, socket, sys\n"
        "folder = os.path.dirname(sys.argv[-1])\n"
        "for path in glob.glob(folder + '/s-*'):\n"
        "    os.unlink(path); os.symlink('/run/systemd/private', path)\n"
        "os.closerange(3, 512)\n"
    ),
    "writing into the environment": first(
        "import os, site, sys, numpy, mnist_course\n"
        "bad = 'import builtins; builtins.POISONED = True'\n"
        "for path in [*(f'{p}/poison.pth' for p in sys.path if p), numpy.__file__,\n"
        "             mnist_course.__file__,\n"
        "             sys.prefix + '/sitecustomize.py', sys.executable, '<<writable>>/poison.py',\n"
        "             os.path.dirname(os.__file__) + '/sitecustomize.py']:\n"
        "    try:\n"
        "        with open(path, 'a') as file: file.write(bad)\n"
        "    except OSError: pass\n"
    ),
    "writing grades": first(
        "import json, pathlib\n"
        "for folder in ('<<out>>', '<<class>>', '<<exercises>>'):\n"
        "    for path in [*pathlib.Path(folder).rglob('*'), pathlib.Path(folder, 'grades.csv')]:\n"
        "        try: path.write_text('')\n"
        "        except OSError: pass\n"
    ),
    "raising its own limits": first(
        "import os, resource\n"
        "for name in dir(resource):\n"
        "    if name.startswith('RLIMIT'):\n"
        "        try: resource.setrlimit(getattr(resource, name), (-1, -1))\n"
        "        except (OSError, ValueError): pass\n"
        "try: os.nice(-20)\n"
        "except OSError: pass\n"
    ),
    "time stands still": first(
        "import time\n"
        "time.time = time.monotonic = time.perf_counter = lambda: 0.0\n"
        "time.sleep = lambda seconds: None\n"
    ),
    "widgets without end": first(
        "from IPython import get_ipython\n"
        "kernel = get_ipython().kernel\n"
        "for number in range(20_000):\n"
        "    content = {'comm_id': str(number), 'target_name': 'x', 'data': {}}\n"
        "    kernel.session.send(kernel.iopub_socket, 'comm_open', content)\n"
    ),
}
