"""Ctrl+C termina com 130 e SIGTERM termina na hora, em qualquer ponto e sem traceback."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import (
    CLIENTE,
    PRAZO,
    SERVIDOR,
    Processo,
    Servidor,
    encher_ate_parar,
    esperar_a_fila_esvaziar,
    esperar_o_cano_esvaziar,
    linux,
    receber_tudo,
)


def terminou(processo: Processo, sinal: signal.Signals) -> None:
    """Ctrl+C vira o status 130; o SIGTERM mata sem uma palavra."""
    assert processo.status() == (130 if sinal == signal.SIGINT else -signal.SIGTERM)
    assert processo.erros() == ""


OS_DOIS_SINAIS = pytest.mark.parametrize("sinal", [signal.SIGINT, signal.SIGTERM])


@OS_DOIS_SINAIS
@pytest.mark.parametrize("argumentos", [[], ["-k"]])
def test_o_servidor_termina_enquanto_espera_uma_conexao(abrir, sinal, argumentos):
    servidor = abrir(Servidor, *argumentos)
    servidor.enviar_sinal(sinal)
    terminou(servidor, sinal)


@linux
@OS_DOIS_SINAIS
def test_o_servidor_termina_enquanto_espera_a_mensagem(servidor, sinal):
    with servidor.conectar() as client_socket:
        esperar_a_fila_esvaziar(servidor.porta)
        servidor.enviar_sinal(sinal)
        terminou(servidor, sinal)
        assert client_socket.recv(1) == b""


@OS_DOIS_SINAIS
def test_o_servidor_termina_enquanto_espera_o_fim_do_cliente(servidor, sinal):
    with servidor.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        servidor.enviar_sinal(sinal)
        terminou(servidor, sinal)


@OS_DOIS_SINAIS
def test_depois_do_sinal_o_servidor_pode_voltar_a_mesma_porta(abrir, sinal):
    primeiro = abrir(Servidor, "-k")
    with primeiro.conectar() as client_socket:
        client_socket.sendall(b"oi")
        assert receber_tudo(client_socket) == b"oi"
        primeiro.enviar_sinal(sinal)
        primeiro.status()
    segundo = abrir(Servidor, "--porta", str(primeiro.porta))
    assert segundo.porta == primeiro.porta


@OS_DOIS_SINAIS
def test_o_servidor_termina_mesmo_com_uma_saida_que_nao_anda(abrir, sinal):
    """Um cano cheio que ninguém lê: a linha da conexão não cabe, e o servidor espera por ele."""
    leitura, escrita = os.pipe()
    with os.fdopen(leitura, "rb"), os.fdopen(escrita, "wb") as cano:
        servidor = abrir(Processo, [sys.executable, str(SERVIDOR), "--porta", "0"], stdout=cano)
        porta = int(os.read(leitura, 1000).split(b" ")[2].rpartition(b":")[2])
        os.set_blocking(escrita, False)
        encher_ate_parar(lambda data: os.write(escrita, data))
        os.set_blocking(escrita, True)
        with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
            client_socket.sendall(b"oi")
            client_socket.shutdown(socket.SHUT_WR)
            assert receber_tudo(client_socket) == b"oi"
        servidor.enviar_sinal(sinal)
        terminou(servidor, sinal)


@linux
@OS_DOIS_SINAIS
def test_o_cliente_termina_enquanto_le_a_entrada(abrir, porta_sem_ninguem, sinal):
    comando = [sys.executable, str(CLIENTE), "--porta", str(porta_sem_ninguem)]
    cliente = abrir(Processo, comando, stdin=subprocess.PIPE)
    cano = cliente.popen.stdin.fileno()
    os.write(cano, b"come\xc3\xa7o")
    esperar_o_cano_esvaziar(cano)
    cliente.enviar_sinal(sinal)
    terminou(cliente, sinal)


@pytest.fixture
def a_espera_da_resposta(abrir) -> Iterator[tuple[Processo, socket.socket]]:
    """Um cliente que já enviou a mensagem, e a conexão em que espera a resposta."""
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        serv_socket.settimeout(PRAZO)
        porta = str(serv_socket.getsockname()[1])
        cliente = abrir(Processo, [sys.executable, str(CLIENTE), "--porta", porta, "oi"])
        conn, _ = serv_socket.accept()
        with conn:
            conn.settimeout(PRAZO)
            assert receber_tudo(conn) == b"oi"
            yield cliente, conn


@OS_DOIS_SINAIS
def test_o_cliente_termina_enquanto_espera_a_resposta(a_espera_da_resposta, sinal):
    cliente, conn = a_espera_da_resposta
    conn.sendall(b"parte\n")
    assert cliente.linha() == "parte"
    cliente.enviar_sinal(sinal)
    terminou(cliente, sinal)


@OS_DOIS_SINAIS
def test_o_cliente_termina_mesmo_com_uma_saida_que_nao_anda(a_espera_da_resposta, sinal):
    cliente, conn = a_espera_da_resposta
    conn.settimeout(0.5)
    encher_ate_parar(conn.sendall)
    cliente.enviar_sinal(sinal)
    terminou(cliente, sinal)


def test_o_ctrl_c_repetido_nao_muda_o_fim(abrir):
    for _ in range(10):
        servidor = abrir(Servidor, "-k")
        for _ in range(50):
            servidor.popen.send_signal(signal.SIGINT)
        terminou(servidor, signal.SIGINT)
