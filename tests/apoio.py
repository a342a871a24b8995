"""Os dois scripts, como processos ou chamados aqui mesmo, e como se lê o que eles disseram."""

import contextlib
import importlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from rede import PRAZO, eco

RAIZ = Path(__file__).resolve().parent.parent
SERVIDOR = RAIZ / "servidor_socket.py"
CLIENTE = RAIZ / "cliente_socket.py"
# Com os avisos como erros, um socket ou arquivo esquecido aberto suja o stderr.
PYTHON = (sys.executable, "-W", "error")
SAIDAS = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Processo(subprocess.Popen):
    """Um script em execução; com a entrada vazia, se nada se diz."""

    def __init__(self, *comando, **opcoes) -> None:
        super().__init__(comando, **{"stdin": subprocess.DEVNULL, **SAIDAS, **opcoes})

    def linha(self) -> str:
        """Espera a próxima linha da saída."""
        linha = self.stdout.readline().decode()
        assert linha.endswith("\n"), f"a saída acabou antes da linha: {linha!r} {self.erros()!r}"
        return linha.rstrip("\r\n")

    def resto(self) -> str:
        """Lê a saída até o fim."""
        return self.stdout.read().decode()

    def erros(self) -> str:
        """Lê o stderr até o fim."""
        return self.stderr.read().decode().replace(os.linesep, "\n")


class Servidor(Processo):
    """O servidor, em uma porta que o sistema escolhe."""

    def ler_o_anuncio(self) -> None:
        """Espera que ele escute."""
        self.anuncio = self.linha()
        host, porta = re.match(r"Escutando em (\S+):(\d+)( |$)", self.anuncio).group(1, 2)
        self.host, self.porta = host.strip("[]"), int(porta)

    def conectar(self) -> socket.socket:
        """Um cliente feito à mão, para os modos que um cliente correto não tem."""
        return socket.create_connection((self.host, self.porta), PRAZO)

    def ainda_atende(self) -> None:
        """Falha se a próxima conexão não recebe o eco inteiro e um fim limpo."""
        assert eco(self.porta, b"mais um") == b"mais um"
        assert self.linha().endswith(": bytes lidos: 7, 'mais um', fim limpo")


def rodar(*comando, **opcoes) -> subprocess.CompletedProcess:
    """Roda o comando até o fim; com a entrada vazia, se nada se diz."""
    entrada = {} if "input" in opcoes else {"stdin": subprocess.DEVNULL}
    return subprocess.run(comando, **{**entrada, **SAIDAS, **opcoes})


def rodar_cliente(*argumentos, porta: int, **opcoes) -> subprocess.CompletedProcess:
    return rodar(*PYTHON, CLIENTE, "--porta", str(porta), *argumentos, **opcoes)


def chamar(script: Path, *argumentos: str, saida=None) -> tuple[int, str, str]:
    """Chama o main neste processo; devolve o status, a saída e o stderr."""
    saida, erros = saida or io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(saida), contextlib.redirect_stderr(erros):
        try:
            status = importlib.import_module(script.stem).main(list(argumentos))
        except SystemExit as exc:  # o da ajuda
            status = exc.code
    return status, saida.getvalue(), erros.getvalue()


def uma_linha_de_erro(stderr: "bytes | str", script: Path) -> str:
    """Verifica que o stderr é uma linha só, no formato combinado, e devolve a mensagem."""
    texto = stderr if isinstance(stderr, str) else stderr.decode().replace(os.linesep, "\n")
    linha = re.fullmatch(rf"{script.name}: erro: (.+)\n", texto)
    assert linha, texto
    assert linha[1].isprintable(), texto
    return linha[1]


def erro_de(script: Path, status: int, *argumentos: str) -> str:
    """O erro de um main que, chamado aqui, devolve este status e não escreve na saída."""
    visto, saida, erros = chamar(script, *argumentos)
    assert (visto, saida) == (status, ""), erros
    return uma_linha_de_erro(erros, script)


def copiar(script: Path, pasta: Path) -> Path:
    """O script em outra pasta, com o chmod 744 que uma cópia pode ter perdido."""
    pasta.mkdir(exist_ok=True)
    copia = Path(shutil.copy(script, pasta))
    copia.chmod(0o744)
    return copia
