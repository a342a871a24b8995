"""Com F5 em um editor, a janela é um objeto: só tem texto, e os descritores 0, 1 e 2 não são dela.

A daqui, como a do IDLE, diz que é de uma pessoa e não tem buffer nem fileno; escreve em um arquivo.
"""

import re
from pathlib import Path

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    SERVIDOR,
    Processo,
    eco,
    erro_do_cliente,
    esperar_ate,
    rodar_cliente,
)

EDITOR = """\
import io, runpy, sys

class Janela(io.TextIOBase):
    encoding = "utf-8"

    def __init__(self, janela, linhas):
        self.janela, self.linhas = janela, linhas

    def isatty(self):
        return True

    def readline(self, size=-1):
        return self.linhas.pop(0) if self.linhas else ""

    def write(self, texto):
        self.janela.write(texto)
        return len(texto)

with open(sys.argv[1], "w", encoding="utf-8", newline="", buffering=1) as arquivo:
    sys.stdin = sys.stdout = sys.stderr = Janela(arquivo, sys.argv[2:3])
    script, sys.argv = sys.argv[3], sys.argv[3:]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit:
        print(">>> ", end="", file=sys.stderr)
"""


@pytest.fixture
def abrir_no_editor(abrir, tmp_path):
    """abrir_no_editor(script, digitado, ...): o processo e o arquivo com o que a janela mostra."""

    def abrir_um(script: Path, digitado: str, *argumentos: str) -> "tuple[Processo, Path]":
        janela = tmp_path / script.stem
        comando = (*PYTHON, "-c", EDITOR, janela, digitado, script, *argumentos)
        return abrir(Processo, *comando), janela

    return abrir_um


def mostrado(janela: Path) -> str:
    return janela.read_bytes().decode() if janela.exists() else ""


def test_o_servidor_escreve_na_janela_e_devolve_o_prompt_dela(abrir_no_editor):
    servidor, janela = abrir_no_editor(SERVIDOR, "", "--porta", "0")
    esperar_ate(lambda: mostrado(janela).endswith("encerra)\n"))
    anuncio = mostrado(janela)
    porta = int(re.search(r":(\d+) ", anuncio)[1])
    assert eco(porta, "olá".encode()) == "olá".encode()
    assert servidor.wait() == 0
    linha = r"127\.0\.0\.1:\d+: 4 bytes, 'olá', fim limpo\n>>> "
    assert re.fullmatch(re.escape(anuncio) + linha, mostrado(janela))
    assert (servidor.resto(), servidor.erros()) == ("", "")


def test_o_cliente_pergunta_le_e_responde_na_janela(abrir_no_editor, servidor):
    cliente, janela = abrir_no_editor(CLIENTE, "olá\n", "--porta", str(servidor.porta))
    assert cliente.wait() == 0
    assert mostrado(janela) == "Mensagem: olá\n>>> "
    assert "4 bytes, 'olá', " in servidor.linha()
    assert (cliente.resto(), cliente.erros()) == ("", "")


def test_um_erro_aparece_na_janela_e_devolve_o_prompt_dela(abrir_no_editor, porta_sem_ninguem):
    erro = erro_do_cliente(rodar_cliente("oi", porta=porta_sem_ninguem))
    cliente, janela = abrir_no_editor(CLIENTE, "oi\n", "--porta", str(porta_sem_ninguem))
    assert cliente.wait() == 0
    assert mostrado(janela) == f"Mensagem: cliente_socket.py: erro: {erro}\n>>> "
