"""What a submission may use, in one place: the runner keeps some limits, the sandbox the others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds for one submission.

    Kept by the runner, outside the student's reach:

    - ``seconds`` for the whole submission, the kernel's start excluded;
    - ``start_seconds`` until the kernel answers; a later answer is a failure of the infrastructure;
    - ``output_bytes`` and ``messages`` of everything the kernel sends, ``message_bytes`` of one message.

    Kept by the sandbox, and by nobody where there is none: ``memory`` (address space), ``processes``,
    ``cpu_seconds``, ``file_bytes`` (one file), ``disk_bytes`` (all of them), ``open_files``.
    """

    seconds: float = 60.0
    start_seconds: float = 60.0
    output_bytes: int = 16 * 2**20
    messages: int = 10_000
    message_bytes: int = 8 * 2**20
    memory: int = 4 * 2**30
    processes: int = 128
    cpu_seconds: int = 600
    file_bytes: int = 64 * 2**20
    disk_bytes: int = 256 * 2**20
    open_files: int = 512
