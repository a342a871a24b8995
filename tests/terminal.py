"""Um pseudoterminal, e nele uma pessoa: o que ela vê, e o que ela digita."""

import contextlib
import os
import re
import signal

import pytest

if os.name == "posix":
    import fcntl
    import pty
    import termios


class Terminal:
    def __init__(self) -> None:
        if os.name != "posix":
            pytest.skip("o pseudoterminal é de um Unix")
        self.pessoa, self.programa = pty.openpty()
        self.visto = b""

    def pontas(self, **outras) -> dict:
        """As opções com que um processo nasce neste terminal."""
        pontas = dict.fromkeys(("stdin", "stdout", "stderr"), self.programa)
        return {**pontas, "preexec_fn": self._tomar, **outras}

    def _tomar(self) -> None:
        """No processo filho: o terminal passa a ser o dele, e o Ctrl+C chega a ele e o mata."""
        os.setsid()
        fcntl.ioctl(self.programa, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def ler(self) -> bytes:
        try:
            return os.read(self.pessoa, 65536)
        except OSError:  # é assim que um pseudoterminal conta que o outro lado fechou
            return b""

    def esperar(self, texto: str) -> None:
        """Lê a tela até que o texto apareça nela."""
        while texto.encode() not in self.visto:
            pedaco = self.ler()
            assert pedaco, f"a tela acabou antes de {texto!r}: {self.visto!r}"
            self.visto += pedaco

    def porta(self) -> int:
        """Espera que o servidor escute, e lê na tela a porta dele."""
        self.esperar("encerra)\r\n")
        return int(re.search(rb":(\d+) ", self.visto)[1])

    def tela(self) -> str:
        """Fecha o lado do programa e lê tudo o que ele mostrou."""
        os.close(self.programa)
        self.programa = -1
        while pedaco := self.ler():
            self.visto += pedaco
        return self.visto.decode(errors="replace")

    def digitar(self, teclas: bytes) -> None:
        os.write(self.pessoa, teclas)

    def close(self) -> None:
        for descritor in (self.pessoa, self.programa):
            with contextlib.suppress(OSError):
                os.close(descritor)
