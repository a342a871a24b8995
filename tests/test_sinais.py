"""Ctrl+C e SIGTERM matam os dois scripts na hora, em toda espera e sem uma palavra."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

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
    esperar_o_cano_esvaziar,
    linux,
    precisa_de,
    receber_tudo,
)

CTRL_C = b"\x03"
OS_DOIS_SINAIS = pytest.mark.parametrize("sinal", [signal.SIGINT, signal.SIGTERM])


def morre_de(sinal: signal.Signals, processo: Processo) -> None:
    """Falha se o processo não morre do próprio sinal: um fim normal não pararia o laço do shell."""
    processo.popen.send_signal(sinal)
    assert processo.status() == -sinal
    assert processo.erros() == ""


@OS_DOIS_SINAIS
def test_o_servidor_morre_enquanto_espera_uma_conexao(servidor, sinal):
    morre_de(sinal, servidor)


@linux
@OS_DOIS_SINAIS
def test_o_servidor_morre_enquanto_espera_a_mensagem(servidor, sinal):
    with servidor.conectar() as client_socket:
        esperar_a_fila_esvaziar(servidor.porta)
        morre_de(sinal, servidor)
        assert client_socket.recv(1) == b""


@OS_DOIS_SINAIS
def test_o_servidor_morre_enquanto_espera_o_fim_do_cliente_e_volta_a_mesma_porta(abrir, sinal):
    primeiro = abrir(Servidor, "-k")
    with primeiro.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        morre_de(sinal, primeiro)
    assert abrir(Servidor, "--porta", str(primeiro.porta)).porta == primeiro.porta


@OS_DOIS_SINAIS
def test_o_servidor_morre_mesmo_com_uma_saida_que_nao_anda(abrir, sinal):
    """Um cano cheio que ninguém lê: a linha da conexão não cabe, e o servidor espera por ele."""
    leitura, escrita = os.pipe()
    with os.fdopen(leitura, "rb"), os.fdopen(escrita, "wb") as cano:
        servidor = abrir(Processo, *PYTHON, SERVIDOR, "--porta", "0", stdout=cano)
        porta = int(os.read(leitura, 1000).split(b" ")[2].rpartition(b":")[2])
        os.set_blocking(escrita, False)
        encher_ate_parar(lambda data: os.write(escrita, data))
        os.set_blocking(escrita, True)
        with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
            client_socket.sendall(b"oi")
            client_socket.shutdown(socket.SHUT_WR)
            assert receber_tudo(client_socket) == b"oi"
        morre_de(sinal, servidor)


@linux
@OS_DOIS_SINAIS
def test_o_cliente_morre_enquanto_le_a_entrada(abrir_cliente, porta_sem_ninguem, sinal):
    cliente = abrir_cliente(porta_sem_ninguem, stdin=subprocess.PIPE)
    cano = cliente.popen.stdin.fileno()
    os.write(cano, b"come\xc3\xa7o")
    esperar_o_cano_esvaziar(cano)
    morre_de(sinal, cliente)


@pytest.fixture
def a_espera_da_resposta(abrir_cliente, ouvinte) -> Iterator[tuple[Processo, socket.socket]]:
    """Um cliente que já enviou a mensagem, e a conexão em que espera a resposta."""
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi")
    conn, _ = ouvinte.accept()
    with conn:
        conn.settimeout(PRAZO)
        assert receber_tudo(conn) == b"oi"
        yield cliente, conn


@OS_DOIS_SINAIS
def test_o_cliente_morre_enquanto_espera_a_resposta(a_espera_da_resposta, sinal):
    cliente, conn = a_espera_da_resposta
    conn.sendall(b"parte\n")
    assert cliente.linha() == "parte"
    morre_de(sinal, cliente)


@OS_DOIS_SINAIS
def test_o_cliente_morre_mesmo_com_uma_saida_que_nao_anda(a_espera_da_resposta, sinal):
    cliente, conn = a_espera_da_resposta
    conn.settimeout(0.2)
    encher_ate_parar(conn.sendall)
    morre_de(sinal, cliente)


@precisa_de("bash")
@pytest.mark.parametrize(
    ("script", "espera"), [(SERVIDOR, "Escutando em "), (CLIENTE, "Mensagem: ")]
)
def test_um_ctrl_c_para_tambem_o_laco_do_shell_em_volta(terminal, script, espera):
    laco = 'for vez in 1 2 3; do "$@"; done; echo sobreviveu'
    porta = "0" if script == SERVIDOR else "7007"
    shell = terminal.abrir(Processo, "bash", "-c", laco, "bash", *PYTHON, script, "--porta", porta)
    terminal.esperar(espera)
    terminal.digitar(CTRL_C)
    assert shell.status() == -signal.SIGINT
    tela = terminal.tela()
    assert tela.count(espera) == 1, tela
    assert "sobreviveu" not in tela
