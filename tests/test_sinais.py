"""Ctrl+C mata os dois scripts na hora e sem uma palavra, do main em diante."""

import signal
import sys
from pathlib import Path

import pytest
from apoio import CLIENTE, PYTHON, SERVIDOR
from maquina import linux, pode_rodar, precisa_de, unix
from rede import TAMANHO_DO_BLOCO, esperar_ate

CTRL_C = b"\x03"
pytestmark = unix
CADA_SCRIPT = pytest.mark.parametrize(
    ("script", "porta", "espera"), [(SERVIDOR, "0", "encerra)\r\n"), (CLIENTE, "7", "Mensagem: ")]
)


@precisa_de("bash")
@CADA_SCRIPT
def test_um_ctrl_c_para_tambem_o_laco_do_shell_em_volta(abrir, terminal, script, porta, espera):
    """O shell só para quando o processo morre do próprio sinal."""
    laco = 'for vez in 1 2 3; do "$@"; done; echo sobreviveu'
    comando = ("bash", "-c", laco, "bash", *PYTHON, script, "--porta", porta)
    shell = abrir(*comando, **terminal.pontas())
    terminal.esperar(espera)
    terminal.digitar(CTRL_C)
    assert shell.wait() == -signal.SIGINT
    tela = terminal.tela()
    assert tela.count(espera) == 1, tela
    assert "sobreviveu" not in tela


@linux
@CADA_SCRIPT
def test_o_ctrl_c_encerra_o_processo_1_de_um_conteiner(abrir, terminal, script, porta, espera):
    """O núcleo só entrega ao processo 1 os sinais que ele trata."""
    conteiner = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    # O unshare de alguns Linux entrega o Ctrl+C ignorado.
    conteiner += ("--mount-proc", "env", "--default-signal=INT")
    if not pode_rodar(*conteiner):
        pytest.skip("o sistema não deixa criar um espaço de processos")
    comando = (*conteiner, *PYTHON, script, "--porta", porta)
    processo = abrir(*comando, **terminal.pontas())
    terminal.esperar(espera)
    antes = terminal.visto.decode()
    filhos = Path(f"/proc/{processo.pid}/task/{processo.pid}/children").read_text().split()
    # O Python anota o sinal e só o atende entre duas chamadas: o script já tem de estar à espera.
    situacao = Path(f"/proc/{filhos[0]}/stat")
    esperar_ate(lambda: situacao.read_text().rpartition(") ")[2].startswith("S"))
    terminal.digitar(CTRL_C)
    assert processo.wait() == 130
    assert terminal.tela().replace("^C", "") == antes


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="o PyPy não o guarda ignorado")
def test_quem_recebe_o_ctrl_c_ignorado_o_ignora(abrir_servidor, abrir_cliente, ouvinte):
    """É o que fazem o `trap '' INT` de um shell e, em um roteiro, o `&`."""
    ignorar = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    servidor = abrir_servidor("-k", **ignorar)
    servidor.send_signal(signal.SIGINT)
    servidor.ainda_atende()
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi", **ignorar)
    conn, _ = ouvinte.accept()
    with conn:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        cliente.send_signal(signal.SIGINT)
        conn.sendall(b"oi")
    assert (cliente.wait(), cliente.resto()) == (0, "oi")
