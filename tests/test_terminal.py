"""No terminal: a pergunta, o que se digita e a linha final, em um pseudoterminal."""

import os
import socket
import subprocess

import pytest
from conftest import CLIENTE, PYTHON, Processo, linux, ninguem_bateu, receber_tudo, resetar

CTRL_D = b"\x04"


@pytest.fixture
def cliente_no_terminal(terminal):
    """cliente_no_terminal(porta, ...): o cliente com o terminal nas três pontas."""

    def abrir_um(porta: int, *argumentos: str, **opcoes) -> Processo:
        comando = (*PYTHON, CLIENTE, "--porta", str(porta), *argumentos)
        return terminal.abrir(Processo, *comando, **opcoes)

    return abrir_um


def test_a_pergunta_aparece_e_a_linha_digitada_vai_sem_a_quebra(
    servidor, terminal, cliente_no_terminal
):
    cliente = cliente_no_terminal(servidor.porta)
    terminal.esperar("Mensagem: ")
    terminal.digitar("olá\n".encode())
    assert cliente.status() == 0
    assert terminal.tela() == "Mensagem: olá\r\nolá\r\n"
    assert "4 bytes, 'olá', " in servidor.linha()


def test_a_pergunta_vai_ao_stderr_e_a_saida_so_tem_a_resposta_mesmo_que_nao_seja_utf8(
    servidor, terminal, cliente_no_terminal
):
    cliente = cliente_no_terminal(servidor.porta, stdout=subprocess.PIPE)
    terminal.esperar("Mensagem: ")
    terminal.digitar(b" a\xff\xc3 \n")
    assert cliente.popen.stdout.read() == b" a\xff\xc3 "
    assert cliente.status() == 0
    assert r"5 bytes, ' a\udcff\udcc3 ', " in servidor.linha()


def test_enquanto_alguem_digita_ninguem_ocupa_o_servidor(ouvinte, terminal, cliente_no_terminal):
    cliente_no_terminal(ouvinte.getsockname()[1])
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"pensando")
    terminal.esperar("pensando")
    assert ninguem_bateu(ouvinte, 0.2)


@linux
@pytest.mark.parametrize("stderr", ["fechado", "cheio"])
def test_sem_um_stderr_nao_se_ve_a_pergunta_e_o_cliente_continua(servidor, terminal, stderr):
    sem_stderr = {"fechado": 'exec "$@" 2>&-', "cheio": 'exec "$@" 2>/dev/full'}[stderr]
    comando = ("sh", "-c", sem_stderr, "sh", *PYTHON, CLIENTE, "--porta", str(servidor.porta))
    terminal.digitar(b"oi\n")
    cliente = terminal.abrir(Processo, *comando, stdout=subprocess.PIPE)
    assert cliente.resto() == "oi"
    assert cliente.status() == 0


def test_um_terminal_que_nao_bloqueia_e_um_erro_e_nao_uma_mensagem_cortada(
    porta_sem_ninguem, terminal, cliente_no_terminal
):
    os.set_blocking(terminal.programa, False)
    terminal.digitar(b"meta" + CTRL_D)
    cliente = cliente_no_terminal(porta_sem_ninguem, stderr=subprocess.PIPE)
    assert cliente.status() == 1
    assert "erro: não foi possível ler a mensagem: " in cliente.erros()


@pytest.mark.parametrize(
    ("teclas", "lidos"), [(b"\n", 0), (CTRL_D, 0), (b"x" * 1025 + b"\n", 1025)]
)
def test_nada_digitado_ou_uma_linha_longa_demais_e_um_erro(
    porta_sem_ninguem, terminal, cliente_no_terminal, teclas, lidos
):
    cliente = cliente_no_terminal(porta_sem_ninguem)
    terminal.esperar("Mensagem: ")
    terminal.digitar(teclas)
    assert cliente.status() == 2
    erro = f"cliente_socket.py: erro: a mensagem vai de 1 a 1024 bytes; lidos: {lidos}\r\n"
    assert terminal.tela().endswith(erro)


@pytest.mark.parametrize(
    ("resposta", "na_tela"),
    [(b"oi", "oi\r\n"), (b"oi\n", "oi\r\n"), (b"oi\n\n", "oi\r\n\r\n"), (b"", "")],
)
def test_a_quebra_final_so_e_acrescentada_quando_falta(
    parceiro, terminal, cliente_no_terminal, resposta, na_tela
):
    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(resposta)

    cliente = cliente_no_terminal(parceiro(responder), "!!", stderr=subprocess.DEVNULL)
    assert cliente.status() == (0 if resposta else 1)
    assert terminal.tela() == na_tela


@linux
def test_uma_resposta_interrompida_deixa_o_erro_em_uma_linha_propria(
    parceiro, terminal, cliente_no_terminal
):
    def responder_e_resetar(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"met")
        resetar(conn)

    cliente = cliente_no_terminal(parceiro(responder_e_resetar), "metade")
    assert cliente.status() == 1
    assert terminal.tela().startswith("met\r\ncliente_socket.py: erro: a conversa com '127.0.0.1' ")
