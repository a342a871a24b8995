"""Ctrl+C mata os dois scripts na hora e sem uma palavra, do main em diante."""

import signal
import sys
from pathlib import Path

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    esperar_ate,
    linux,
    pode_rodar,
    precisa_de,
    unix,
)

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
def test_o_ctrl_c_encerra_tambem_o_processo_1_de_um_conteiner(
    abrir, terminal, script, porta, espera
):
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
    # O Python anota o sinal e só o atende entre duas chamadas: o script já tem de estar à espera.
    filhos = Path(f"/proc/{processo.pid}/task/{processo.pid}/children").read_text().split()
    situacao = Path(f"/proc/{filhos[0]}/stat")
    esperar_ate(lambda: situacao.read_text().rpartition(") ")[2].startswith("S"))
    terminal.digitar(CTRL_C)
    assert processo.wait() == 130
    assert terminal.tela().replace("^C", "") == antes


def ignorar() -> None:
    """É o que fazem o `trap '' INT` de um shell e, em um roteiro, o `&`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="o PyPy não guarda o Ctrl+C que recebeu ignorado"
)
def test_quem_recebeu_o_ctrl_c_ignorado_continua_a_ignora_lo(
    abrir_servidor, abrir_cliente, ouvinte
):
    servidor = abrir_servidor("-k", preexec_fn=ignorar)
    servidor.send_signal(signal.SIGINT)
    servidor.ainda_atende()
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi", preexec_fn=ignorar)
    conn, _ = ouvinte.accept()
    with conn:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        cliente.send_signal(signal.SIGINT)
        conn.sendall(b"oi")
    assert (cliente.wait(), cliente.resto()) == (0, "oi")
