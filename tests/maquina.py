"""O que a máquina diz e o que ela oferece: onde falta, o teste é pulado, e diz por quê."""

import os
import shutil
import socket
import sys
from collections.abc import Callable

import pytest
from apoio import PYTHON, rodar

linux = pytest.mark.skipif(sys.platform != "linux", reason="usa o que só o Linux oferece")
unix = pytest.mark.skipif(os.name != "posix", reason="usa o que só um Unix oferece")


def precisa_de(programa: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(programa), reason=f"não há {programa} aqui")


def tem_ipv6() -> bool:
    """Se esta máquina escuta em ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


precisa_de_ipv6 = pytest.mark.skipif(not tem_ipv6(), reason="esta máquina não tem IPv6")


def pode_rodar(*inicio: str) -> bool:
    """Se o Python dos testes roda com esse começo de comando."""
    return bool(shutil.which(inicio[0])) and not rodar(*inicio, *PYTHON, "-c", "").returncode


def do_sistema(codigo: int) -> str:
    """O texto com que o Python mostra este errno."""
    return f"[Errno {codigo}] {os.strerror(codigo)}"


def limitar_o_arquivo_a(quantos: int) -> Callable[[], None]:
    """Uma preexec_fn com que a escrita em arquivo para nesse byte, como em um disco cheio."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (quantos, quantos))
