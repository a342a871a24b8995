"""Em um editor ou caderno, a janela é um objeto: só tem texto, e o descritor 1 não é dela.

A do IDLE diz que é um terminal, e não tem buffer nem fileno; a do Thonny fica até no lugar do
sys.__stdin__; a de um caderno diz que não é um terminal. Quem corrige exercícios importa o
script, troca a entrada e a saída por objetos que nem codificação têm, e chama o main.
"""

import re
import subprocess
from collections.abc import Callable

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    RAIZ,
    SERVIDOR,
    Processo,
    eco,
)

# O que se vê na janela vai ao stderr do processo; na saída dele, nada deve aparecer.
NA_JANELA = """\
import runpy, sys

class Janela:
    if sys.argv[1] != "corretor":
        encoding = "utf-8"
    vista = open(2, "w", encoding="utf-8", newline="", closefd=False)

    def isatty(self):
        return editor != "caderno"

    def readline(self, size=-1):
        return digitado

    def write(self, texto):
        return self.vista.write(texto)

    def flush(self):
        self.vista.flush()

editor, digitado = sys.argv[1:3]
sys.argv = sys.argv[3:]
sys.stdin = sys.stdout = sys.stderr = Janela()
if editor == "Thonny":
    sys.__stdin__ = sys.__stdout__ = sys.stdin
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def abrir_na_janela(abrir) -> Callable[..., Processo]:
    """abrir_na_janela(editor, digitado, script, ...): o script, como o editor o executa."""
    return lambda *argumentos: abrir(*PYTHON, "-B", "-c", NA_JANELA, *argumentos)


@pytest.mark.parametrize("editor", ["IDLE", "Thonny", "caderno", "corretor"])
def test_o_servidor_escreve_na_janela_e_mostra_quem_chega(abrir_na_janela, editor):
    servidor = abrir_na_janela(editor, "", SERVIDOR, "--porta", "0")
    porta = re.search(r":(\d+) ", servidor.stderr.readline().decode())[1]
    assert eco(int(porta), "olá".encode()) == "olá".encode()
    assert re.fullmatch(
        r"(127\.0\.0\.1:\d+): conexão aceita\n\1: bytes lidos: 4, 'olá', fim limpo\n",
        servidor.erros(),
    )
    assert (servidor.wait(), servidor.resto()) == (0, "")


@pytest.mark.parametrize(
    ("editor", "argumentos", "visto"),
    [
        ("IDLE", [], "Mensagem: olá\n"),
        ("Thonny", [], "Mensagem: olá\n"),
        ("caderno", ["olá"], "olá\n"),
    ],
)
def test_o_cliente_conversa_na_janela_e_pergunta_se_ela_e_um_terminal(
    abrir_na_janela, servidor, editor, argumentos, visto
):
    porta = str(servidor.porta)
    cliente = abrir_na_janela(editor, "olá\n", CLIENTE, "--porta", porta, *argumentos)
    assert (cliente.wait(), cliente.erros(), cliente.resto()) == (0, visto, "")
    assert "bytes lidos: 4, 'olá', " in servidor.linha()


CORRETOR = """\
import io, sys
import cliente_socket
for entrada in (io.StringIO("olá\\n"), io.StringIO("de novo")):
    sys.stdin, sys.stdout = entrada, io.StringIO()
    status, resposta = cliente_socket.main(), sys.stdout.getvalue()
    sys.stdout = sys.__stdout__
    print(status, ascii(resposta))
"""


def test_a_entrada_que_o_corretor_poe_no_lugar_e_a_mensagem_inteira(abrir, servidor_continuo):
    """O descritor 0 é de outro: tem outro texto, que não se lê nem se envia."""
    comando = (*PYTHON, "-B", "-c", CORRETOR, "--porta", str(servidor_continuo.porta))
    corretor = abrir(*comando, cwd=RAIZ, stdin=subprocess.PIPE)
    corretor.stdin.write(b"outro texto\n")
    corretor.stdin.flush()
    assert (corretor.linha(), corretor.linha()) == (r"0 'ol\xe1\n'", r"0 'de novo\n'")
    assert corretor.wait() == 0
    assert r"bytes lidos: 5, 'olá\n', " in servidor_continuo.linha()
    assert "bytes lidos: 7, 'de novo', " in servidor_continuo.linha()
