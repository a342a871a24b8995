"""No terminal: a pergunta, o que se digita e o que aparece na tela, em um pseudoterminal."""

import os
import socket
import subprocess
from collections.abc import Callable

import pytest
from conftest import (
    PRAZO,
    PYTHON,
    RAIZ,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    eco,
    linux,
    resetar,
    responder,
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
        terminal.esperar(f"{quem}conexão aceita\r\n")
        client_socket.sendall(b"oi")
        assert client_socket.recv(TAMANHO_DO_BLOCO) == b"oi"
    assert servidor.wait() == 0
    assert terminal.tela().endswith(f"aceita\r\n{quem}bytes lidos: 2, 'oi', fim limpo\r\n")


@pytest.mark.parametrize(("fim", "na_tela"), [(b"\n", "\r\n"), (CTRL_D + CTRL_D, "")])
def test_a_pergunta_vai_ao_stderr_e_a_saida_so_tem_a_resposta(
    servidor, terminal, cliente_no_terminal, fim, na_tela
):
    cliente = cliente_no_terminal(servidor.porta, stdout=subprocess.PIPE)
    terminal.esperar("Mensagem: ")
    digitado = b" a \xc3 \xc3\xa7 "  # meio caractere, o que sobra de um Backspace sem IUTF8, e ç
    terminal.digitar(digitado + fim)
    assert cliente.stdout.read() == digitado
    assert cliente.wait() == 0
    assert terminal.tela() == f"Mensagem:  a \ufffd ç {na_tela}"


@unix
def test_sem_stderr_ninguem_ve_a_pergunta_e_a_saida_so_tem_a_resposta(
    servidor, terminal, cliente_no_terminal
):
    sem_stderr = ("sh", "-c", 'exec "$@" 2>&-', "sh")
    cliente = cliente_no_terminal(servidor.porta, inicio=sem_stderr, stdout=subprocess.PIPE)
    terminal.digitar(b"oi\n" + CTRL_D)
    assert (cliente.resto(), cliente.wait()) == ("oi\n", 0)


@pytest.mark.parametrize(
    ("teclas", "na_tela", "lidos"),
    [
        (b"\n", "\r\n", 0),
        (CTRL_D, "", 0),
        # Fora do Linux, um terminal pode não aceitar uma linha tão longa.
        pytest.param(b"x" * 1025 + b"\n", f"{'x' * 1025}\r\n", 1025, marks=linux),
    ],
)
def test_nada_digitado_ou_uma_linha_longa_demais_e_um_erro(
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


DUAS_VEZES = """
import sys, cliente_socket
sys.exit(cliente_socket.main() or cliente_socket.main())
"""


def test_a_pergunta_se_repete_no_mesmo_processo(abrir, servidor_continuo, terminal):
    """Como em um REPL, ou com o %run do IPython."""
    comando = (*PYTHON, "-B", "-c", DUAS_VEZES, "--porta", str(servidor_continuo.porta))
    python = abrir(*comando, cwd=RAIZ, **terminal.pontas())
    for pergunta in ("Mensagem: ", "Mensagem: oi\r\noi\r\nMensagem: "):
        terminal.esperar(pergunta)
        terminal.digitar(b"oi\n")
    assert python.wait() == 0
    assert terminal.tela() == "Mensagem: oi\r\noi\r\n" * 2


@pytest.mark.parametrize(
    ("resposta", "na_tela"),
    [(b"oi", "oi\r\n"), (b"oi\n", "oi\r\n"), (b"oi\n\n", "oi\r\n\r\n"), (b"", "")],
)
def test_a_quebra_final_so_e_acrescentada_quando_falta(
    parceiro, terminal, cliente_no_terminal, resposta, na_tela
):
    porta = parceiro(responder(resposta))
    cliente = cliente_no_terminal(porta, "!!", stderr=subprocess.DEVNULL)
    assert cliente.wait() == (0 if resposta else 1)
    assert terminal.tela() == na_tela


@pytest.mark.parametrize(
    ("partes", "na_tela"),
    [
        ([b"ol\xc3", b"\xa1"], ["ol", "olá\r\n"]),
        ([b"ol\xe1"], ["ol\ufffd\r\n"]),
        ([b"x" + "é".encode() * 1500], ["x" + "é" * 1500 + "\r\n"]),
    ],
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
        responder(b"met")(conn)
        resetar(conn)

    cliente = cliente_no_terminal(parceiro(responder_e_resetar), "metade")
    assert cliente.wait() == 1
    assert terminal.tela().startswith(
        "met\r\ncliente_socket.py: erro: a conversa com '127.0.0.1' falhou: "
    )


def test_um_terminal_sem_acentos_nao_derruba_o_servidor(abrir, terminal):
    ascii_ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    servidor = abrir(*PYTHON, SERVIDOR, "--porta", "0", env=ascii_, **terminal.pontas())
    assert eco(terminal.porta(), "olá".encode()) == "olá".encode()
    assert servidor.wait() == 0
    assert terminal.tela().endswith(r": bytes lidos: 4, 'ol\xe1', fim limpo" + "\r\n")
