"""Ctrl+C mata os dois scripts na hora, em toda espera e sem uma palavra, do main em diante."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import (
    CLIENTE,
    PRAZO,
    PYTHON,
    SERVIDOR,
    Processo,
    Servidor,
    encher_ate_parar,
    esperar_a_fila_esvaziar,
    esperar_ate,
    esperar_o_pipe_esvaziar,
    linux,
    precisa_de,
    receber_tudo,
    rodar,
    tem,
    unix,
)

CTRL_C = b"\x03"
pytestmark = unix
CADA_SCRIPT = pytest.mark.parametrize(
    ("script", "porta", "espera"), [(SERVIDOR, "0", "Escutando em "), (CLIENTE, "7", "Mensagem: ")]
)


def morre_do_ctrl_c(processo: Processo) -> None:
    """Falha se o processo não morre do próprio sinal: um fim normal não pararia o laço do shell."""
    processo.send_signal(signal.SIGINT)
    assert processo.wait() == -signal.SIGINT
    assert processo.erros() == ""


@linux
def test_o_servidor_morre_enquanto_espera_a_mensagem(servidor):
    with servidor.conectar() as client_socket:
        esperar_a_fila_esvaziar(servidor.porta)
        morre_do_ctrl_c(servidor)
        assert client_socket.recv(1) == b""


def test_o_servidor_morre_enquanto_espera_o_fim_do_cliente_e_volta_a_mesma_porta(abrir):
    primeiro = abrir(Servidor, "-k")
    with primeiro.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        morre_do_ctrl_c(primeiro)
    assert abrir(Servidor, "--porta", str(primeiro.porta)).porta == primeiro.porta


def test_o_servidor_morre_mesmo_com_uma_saida_que_nao_anda(abrir):
    """Um pipe cheio que ninguém lê: a linha da conexão não cabe, e o servidor espera por ele."""
    leitura, escrita = os.pipe()
    with os.fdopen(leitura, "rb"), os.fdopen(escrita, "wb") as pipe:
        servidor = abrir(Processo, *PYTHON, SERVIDOR, "--porta", "0", stdout=pipe)
        porta = int(os.read(leitura, 1000).split(b" ")[2].rpartition(b":")[2])
        os.set_blocking(escrita, False)
        encher_ate_parar(lambda data: os.write(escrita, data))
        os.set_blocking(escrita, True)
        with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
            client_socket.sendall(b"oi")
            client_socket.shutdown(socket.SHUT_WR)
            assert receber_tudo(client_socket) == b"oi"
        morre_do_ctrl_c(servidor)


@linux
def test_o_cliente_morre_enquanto_le_a_entrada(abrir_cliente, porta_sem_ninguem):
    cliente = abrir_cliente(porta_sem_ninguem, stdin=subprocess.PIPE)
    pipe = cliente.stdin.fileno()
    os.write(pipe, b"come\xc3\xa7o")
    esperar_o_pipe_esvaziar(pipe)
    morre_do_ctrl_c(cliente)


@pytest.fixture
def a_espera_da_resposta(abrir_cliente, ouvinte) -> "Iterator[tuple[Processo, socket.socket]]":
    """Um cliente que já enviou a mensagem, e a conexão em que espera a resposta."""
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi")
    conn, _ = ouvinte.accept()
    with conn:
        conn.settimeout(PRAZO)
        assert receber_tudo(conn) == b"oi"
        yield cliente, conn


def test_o_cliente_morre_enquanto_espera_a_resposta(a_espera_da_resposta):
    cliente, conn = a_espera_da_resposta
    conn.sendall(b"parte\n")
    assert cliente.linha() == "parte"
    morre_do_ctrl_c(cliente)


def test_o_cliente_morre_mesmo_com_uma_saida_que_nao_anda(a_espera_da_resposta):
    cliente, conn = a_espera_da_resposta
    conn.settimeout(0.2)
    encher_ate_parar(conn.sendall)
    morre_do_ctrl_c(cliente)


@precisa_de("bash")
@CADA_SCRIPT
def test_um_ctrl_c_para_tambem_o_laco_do_shell_em_volta(terminal, script, porta, espera):
    laco = 'for vez in 1 2 3; do "$@"; done; echo sobreviveu'
    shell = terminal.abrir(Processo, "bash", "-c", laco, "bash", *PYTHON, script, "--porta", porta)
    terminal.esperar(espera)
    terminal.digitar(CTRL_C)
    assert shell.wait() == -signal.SIGINT
    tela = terminal.tela()
    assert tela.count(espera) == 1, tela
    assert "sobreviveu" not in tela


@linux
@CADA_SCRIPT
def test_o_ctrl_c_encerra_tambem_o_processo_1_de_um_conteiner(terminal, script, porta, espera):
    """O núcleo só entrega ao processo 1 os sinais que ele trata."""
    conteiner = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
    if not tem("unshare") or rodar(*conteiner, "true").returncode:
        pytest.skip("o sistema não deixa criar um espaço de processos")
    processo = terminal.abrir(Processo, *conteiner, *PYTHON, script, "--porta", porta)
    terminal.esperar(espera if script == CLIENTE else "encerra)\r\n")
    antes = terminal.visto.decode()
    # O Python anota o sinal e só o atende entre duas chamadas: o script já tem de estar na espera.
    filhos = Path(f"/proc/{processo.pid}/task/{processo.pid}/children").read_text().split()
    situacao = Path(f"/proc/{filhos[0]}/stat")
    esperar_ate(lambda: situacao.read_text().rpartition(") ")[2].startswith("S"))
    terminal.digitar(CTRL_C)
    assert processo.wait() == 130
    assert terminal.tela().replace("^C", "") == antes


def ignorar() -> None:
    """É o que fazem o `trap '' INT` de um shell e, em um roteiro, o `&`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_um_servidor_que_recebeu_o_ctrl_c_ignorado_continua_a_ignora_lo(abrir):
    servidor = abrir(Servidor, "-k", preexec_fn=ignorar)
    servidor.send_signal(signal.SIGINT)
    servidor.ainda_atende()


def test_um_cliente_que_recebeu_o_ctrl_c_ignorado_continua_a_ignora_lo(abrir_cliente, ouvinte):
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi", preexec_fn=ignorar)
    conn, _ = ouvinte.accept()
    with conn:
        assert receber_tudo(conn) == b"oi"
        cliente.send_signal(signal.SIGINT)
        conn.sendall(b"oi")
    assert (cliente.wait(), cliente.resto()) == (0, "oi")
