"""No terminal: a pergunta, o que se digita e o que aparece na tela, em um pseudoterminal."""

import os
import select
import socket
import subprocess
from collections.abc import Callable

import pytest
from conftest import (
    PRAZO,
    PYTHON,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    eco,
    linux,
    resetar,
    unix,
)

CTRL_D = b"\x04"


@pytest.fixture
def cliente_no_terminal(abrir_cliente, terminal) -> Callable:
    """cliente_no_terminal(porta, ...): o cliente com o terminal nas três pontas."""
    return lambda *argumentos, **opcoes: abrir_cliente(
        *argumentos, **{**terminal.pontas(), **opcoes}
    )


def test_quem_olha_o_servidor_ve_a_conexao_assim_que_ela_e_aceita(abrir, terminal):
    servidor = abrir(*PYTHON, SERVIDOR, "--porta", "0", **terminal.pontas())
    with socket.create_connection(("127.0.0.1", terminal.porta()), PRAZO) as client_socket:
        quem = "{}:{}: ".format(*client_socket.getsockname())
        terminal.esperar(quem)
        client_socket.sendall(b"oi")
        assert client_socket.recv(TAMANHO_DO_BLOCO) == b"oi"
    assert servidor.wait() == 0
    assert terminal.tela().endswith(f"encerra)\r\n{quem}2 bytes, 'oi', fim limpo\r\n")


@unix
def test_um_programa_que_le_a_saida_do_servidor_so_recebe_linhas_inteiras(servidor):
    with servidor.conectar() as client_socket:
        assert not select.select([servidor.stdout], [], [], 0.2)[0]
        client_socket.sendall(b"oi")
        assert client_socket.recv(TAMANHO_DO_BLOCO) == b"oi"
    assert servidor.linha().endswith(": 2 bytes, 'oi', fim limpo")


@pytest.mark.parametrize("fim", [b"\n", CTRL_D + CTRL_D])
def test_a_pergunta_e_a_quebra_vao_ao_stderr_e_a_saida_so_tem_a_resposta(
    servidor, terminal, cliente_no_terminal, fim
):
    cliente = cliente_no_terminal(servidor.porta, stdout=subprocess.PIPE)
    terminal.esperar("Mensagem: ")
    terminal.digitar(" a ç ".encode() + fim)
    assert cliente.resto() == " a ç "
    assert cliente.wait() == 0
    assert terminal.tela() == "Mensagem:  a ç \r\n"


@pytest.mark.parametrize(
    ("teclas", "na_tela", "lidos"),
    [
        (b"\n", "\r\n", 0),
        (CTRL_D, "\r\n", 0),
        # Fora do Linux, um terminal pode não aceitar uma linha tão longa.
        pytest.param(b"x" * 1025 + b"\n", f"{'x' * 1025}\r\n", 1025, marks=linux),
    ],
)
def test_nada_digitado_ou_uma_linha_longa_demais_e_um_erro_em_uma_linha_propria(
    porta_sem_ninguem, terminal, cliente_no_terminal, teclas, na_tela, lidos
):
    cliente = cliente_no_terminal(porta_sem_ninguem)
    terminal.esperar("Mensagem: ")
    terminal.digitar(teclas)
    assert cliente.wait() == 2
    assert terminal.tela() == (
        f"Mensagem: {na_tela}cliente_socket.py: erro: uso incorreto: "
        f"a mensagem vai de 1 a 1024 bytes; lidos: {lidos} (veja --help)\r\n"
    )


def test_meio_caractere_que_sobrou_no_teclado_vai_como_esta(
    servidor, cliente_no_terminal, terminal
):
    """Em um terminal sem o IUTF8, Backspace apaga só o último dos dois bytes de um á."""
    estrito = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    cliente = cliente_no_terminal(servidor.porta, env=estrito, stdout=subprocess.PIPE)
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"ol\xc3a\n")
    assert cliente.stdout.read() == b"ol\xc3a"
    assert cliente.wait() == 0
    assert r"4 bytes, 'ol\udcc3a', " in servidor.linha()


@pytest.mark.parametrize(
    ("resposta", "na_tela"),
    [(b"oi", "oi\r\n"), (b"oi\n", "oi\r\n"), (b"oi\n\n", "oi\r\n\r\n"), (b"", "")],
)
def test_a_quebra_final_so_e_acrescentada_quando_falta(
    parceiro, terminal, cliente_no_terminal, resposta, na_tela
):
    def responder(conn: socket.socket) -> None:
        conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(resposta)

    cliente = cliente_no_terminal(parceiro(responder), "!!", stderr=subprocess.DEVNULL)
    assert cliente.wait() == (0 if resposta else 1)
    assert terminal.tela() == na_tela


@pytest.mark.parametrize(
    ("partes", "na_tela"),
    [
        ([b"ol\xc3", b"\xa1"], ["ol", "olá\r\n"]),
        ([b"ol\xe1"], ["ol\ufffd\r\n"]),
        ([b"x" + "é".encode() * 1500], ["x" + "é" * 1500 + "\r\n"]),
    ],
    ids=["em duas partes", "que não é UTF-8", "no meio de um bloco"],
)
def test_a_tela_nunca_mostra_meio_caractere_nem_espera_por_ele(
    ouvinte, terminal, cliente_no_terminal, partes, na_tela
):
    cliente = cliente_no_terminal(ouvinte.getsockname()[1], "oi")
    conn, _ = ouvinte.accept()
    with conn:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        for parte, visto in zip(partes, na_tela):
            conn.sendall(parte)
            if parte != partes[-1]:
                terminal.esperar(visto)
                assert terminal.visto.decode() == visto
    assert cliente.wait() == 0
    assert terminal.tela() == na_tela[-1]


@linux
def test_uma_resposta_interrompida_deixa_o_erro_em_uma_linha_propria(
    parceiro, terminal, cliente_no_terminal
):
    def responder_e_resetar(conn: socket.socket) -> None:
        conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(b"met")
        resetar(conn)

    cliente = cliente_no_terminal(parceiro(responder_e_resetar), "metade")
    assert cliente.wait() == 1
    assert terminal.tela().startswith("met\r\ncliente_socket.py: erro: a conversa falhou: ")


def test_um_terminal_sem_acentos_nao_derruba_o_servidor(abrir, terminal):
    ascii_ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    servidor = abrir(*PYTHON, SERVIDOR, "--porta", "0", env=ascii_, **terminal.pontas())
    assert eco(terminal.porta(), "olá".encode()) == "olá".encode()
    assert servidor.wait() == 0
    assert terminal.tela().endswith(r": 4 bytes, 'ol\xe1', fim limpo" + "\r\n")


def test_um_terminal_sem_acentos_conta_o_que_o_cliente_nao_pode_mostrar(
    servidor, terminal, cliente_no_terminal
):
    ascii_ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    cliente = cliente_no_terminal(servidor.porta, "olá", env=ascii_)
    assert cliente.wait() == 1
    terminal.esperar("erro: a conversa falhou: 'ascii' codec can't encode ")
