"""Em um editor ou caderno, a janela é um objeto: só tem texto, e o descritor 1 não é dela.

A do IDLE diz que é um terminal, e não tem buffer nem fileno; a do Thonny fica até no lugar do
sys.__stdin__; a de um caderno diz que não é um terminal. A de quem corrige exercícios, um
io.StringIO, nem codificação tem, e vem depois de importar o script.
"""

import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import (
    CLIENTE,
    PRAZO,
    PYTHON,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    Processo,
    erro_do_cliente,
    esperar_ate,
    rodar_cliente,
)

JANELA = """\
import importlib, io, runpy, sys

tipo, caminho, digitado, script = sys.argv[1:5]
sys.argv = sys.argv[4:]

class Janela(io.TextIOBase):
    encoding = None if tipo == "corretor" else "utf-8"
    linhas = [digitado]

    def isatty(self):
        return tipo in ("IDLE", "Thonny")

    def readline(self, size=-1):
        return self.linhas.pop() if self.linhas else ""

    def write(self, texto):
        arquivo.write(texto)
        arquivo.flush()
        return len(texto)

if tipo == "corretor":
    pasta, _, nome = script[:-3].replace("\\\\", "/").rpartition("/")
    sys.path.insert(0, pasta)
    modulo = importlib.import_module(nome)
with open(caminho, "w", encoding="utf-8", newline="") as arquivo:
    sys.stdin = sys.stdout = sys.stderr = Janela()
    if tipo == "Thonny":
        sys.__stdin__ = sys.__stdout__ = sys.stdin
    try:
        if tipo == "corretor":
            sys.exit(modulo.main())
        runpy.run_path(script, run_name="__main__")
    except SystemExit:
        print(">>> ", end="", file=sys.stderr)
"""


@pytest.fixture
def abrir_na_janela(abrir, tmp_path) -> Callable:
    """abrir_na_janela(tipo, script, digitado, ...): o processo e o arquivo com o que se vê."""

    def abrir_um(
        tipo: str, script: Path, digitado: str, *argumentos: str
    ) -> "tuple[Processo, Path]":
        janela = tmp_path / script.stem
        comando = (*PYTHON, "-B", "-c", JANELA, tipo, janela, digitado, script, *argumentos)
        return abrir(*comando, stdin=subprocess.PIPE), janela

    return abrir_um


def mostrado(janela: Path) -> str:
    return janela.read_bytes().decode() if janela.exists() else ""


@pytest.mark.parametrize("tipo", ["IDLE", "Thonny", "caderno", "corretor"])
def test_o_servidor_escreve_na_janela_e_devolve_o_prompt_dela(abrir_na_janela, tipo):
    servidor, janela = abrir_na_janela(tipo, SERVIDOR, "", "--porta", "0")
    esperar_ate(lambda: mostrado(janela).endswith("encerra)\n"))
    anuncio = mostrado(janela)
    porta = int(re.search(r":(\d+) ", anuncio)[1])
    with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
        esperar_ate(lambda: mostrado(janela).endswith(": "))  # assim que a conexão é aceita
        client_socket.sendall("olá".encode())
        assert client_socket.recv(TAMANHO_DO_BLOCO) == "olá".encode()
    assert servidor.wait() == 0
    linha = r"127\.0\.0\.1:\d+: 4 bytes, 'olá', fim limpo\n>>> "
    assert re.fullmatch(re.escape(anuncio) + linha, mostrado(janela))
    assert (servidor.resto(), servidor.erros()) == ("", "")


@pytest.mark.parametrize("tipo", ["IDLE", "Thonny", "caderno", "corretor"])
def test_o_cliente_conversa_na_janela_e_pergunta_se_ela_e_um_terminal(
    abrir_na_janela, servidor, tipo
):
    pergunta = "Mensagem: " if tipo in ("IDLE", "Thonny") else ""
    argumentos = ("--porta", str(servidor.porta), *([] if pergunta else ["olá"]))
    cliente, janela = abrir_na_janela(tipo, CLIENTE, "olá\n", *argumentos)
    assert cliente.wait() == 0
    assert mostrado(janela) == f"{pergunta}olá\n>>> "
    assert "4 bytes, 'olá', " in servidor.linha()
    assert (cliente.resto(), cliente.erros()) == ("", "")


def test_um_erro_aparece_na_janela_e_devolve_o_prompt_dela(abrir_na_janela, porta_sem_ninguem):
    porta = str(porta_sem_ninguem)
    erro = erro_do_cliente(rodar_cliente("oi", porta=porta_sem_ninguem))
    cliente, janela = abrir_na_janela("IDLE", CLIENTE, "oi\n", "--porta", porta)
    assert cliente.wait() == 0
    assert mostrado(janela) == f"Mensagem: cliente_socket.py: erro: {erro}\n>>> "
