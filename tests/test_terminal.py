"""No terminal: a pergunta, o que se digita e o que aparece na tela, em um pseudoterminal."""

import os
import socket
import subprocess
import sys

import pytest
from apoio import CLIENTE, PYTHON, SERVIDOR, chamar
from maquina import linux, unix
from rede import PRAZO, TAMANHO_DO_BLOCO, ecoar_um_bloco, ninguem_bateu, responder

CTRL_D = b"\x04"
ERRO = "cliente_socket.py: erro: "
# O de um LANG=pt_BR.UTF-8, onde meio caractere não se lê, e o de quem não tem acentos.
UTF8_ESTRITO = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8:strict"}
SEM_ACENTOS = {**os.environ, "PYTHONIOENCODING": "ascii"}


def test_quem_olha_o_servidor_ve_a_conexao_assim_que_ela_e_aceita(abrir, terminal):
    servidor = abrir(*PYTHON, SERVIDOR, "--porta", "0", **terminal.pontas())
    with socket.create_connection(("127.0.0.1", terminal.porta()), PRAZO) as client_socket:
        quem = "{}:{}: ".format(*client_socket.getsockname())
        terminal.esperar(f"{quem}conexão aceita\r\n")
        client_socket.sendall(b"oi")
        assert client_socket.recv(TAMANHO_DO_BLOCO) == b"oi"
    assert servidor.wait() == 0
    assert terminal.tela().endswith(f"aceita\r\n{quem}bytes lidos: 2, 'oi', fim limpo\r\n")


@pytest.mark.parametrize(
    ("digitado", "tela", "ambiente"),
    [
        # Meio caractere é o que sobra de um Backspace sem IUTF8.
        (b" a \xc3 \xc3\xa7 \n", " a \ufffd ç \r\n", None),
        (b" a \xc3 \xc3\xa7 " + CTRL_D + CTRL_D, " a \ufffd ç ", None),
        (b"a\xc3\xa7\n", "aç\r\n", UTF8_ESTRITO),
    ],
)
def test_a_pergunta_vai_ao_stderr(parceiro, terminal, abrir_cliente, digitado, tela, ambiente):
    como = terminal.pontas(stdout=subprocess.PIPE, env=ambiente)
    cliente = abrir_cliente(parceiro(ecoar_um_bloco([])), **como)
    terminal.esperar("Mensagem: ")
    terminal.digitar(digitado)
    assert cliente.stdout.read() == digitado.rstrip(b"\n" + CTRL_D)
    assert (cliente.wait(), terminal.tela()) == (0, f"Mensagem: {tela}")


@unix
def test_sem_stderr_ninguem_ve_a_pergunta(parceiro, terminal, abrir_cliente):
    como = terminal.pontas(stdout=subprocess.PIPE, inicio=("sh", "-c", 'exec "$@" 2>&-', "sh"))
    cliente = abrir_cliente(parceiro(ecoar_um_bloco([])), **como)
    terminal.digitar(b"oi\n" + CTRL_D)
    assert (cliente.resto(), cliente.wait()) == ("oi\n", 0)


def test_a_pergunta_se_repete_no_mesmo_processo(parceiro, terminal, monkeypatch):
    """Como em um REPL, ou com o %run do IPython."""
    with open(terminal.programa, closefd=False) as entrada:
        monkeypatch.setattr(sys, "stdin", entrada)
        for _ in range(2):
            terminal.digitar(b"oi\n")
            porta = str(parceiro(responder(b"oi")))
            assert chamar(CLIENTE, "--porta", porta) == (0, "oi\n", "Mensagem: ")


TAMANHO = f"{ERRO}uso incorreto: a mensagem vai de 1 a 1024 bytes; lidos: "


@pytest.mark.parametrize(
    ("teclas", "status", "tela"),
    [
        (b"\n", 2, f"\r\n{TAMANHO}0 "),
        (CTRL_D, 2, f"{TAMANHO}0 "),
        # Fora do Linux, um terminal pode não aceitar uma linha tão longa.
        pytest.param(b"x" * 1025 + b"\n", 2, f"{'x' * 1025}\r\n{TAMANHO}1025 ", marks=linux),
        (b"\xc3\n", 1, f"\ufffd\r\n{ERRO}não foi possível ler a mensagem: 'utf-8' codec"),
    ],
)
def test_o_que_nao_serve_de_mensagem(ouvinte, terminal, abrir_cliente, teclas, status, tela):
    cliente = abrir_cliente(ouvinte.getsockname()[1], **terminal.pontas(env=UTF8_ESTRITO))
    terminal.esperar("Mensagem: ")
    terminal.digitar(teclas)
    assert cliente.wait() == status
    assert terminal.tela().startswith(f"Mensagem: {tela}")
    assert terminal.visto.count(b"\n") == tela.count("\n") + 1
    assert ninguem_bateu(ouvinte)


def test_a_tela_nao_mostra_meio_caractere_nem_espera_por_ele(ouvinte, terminal, abrir_cliente):
    cliente = abrir_cliente(ouvinte.getsockname()[1], "oi", **terminal.pontas())
    conn, _ = ouvinte.accept()
    with conn:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        conn.sendall(b"ol\xc3")
        terminal.esperar("ol")
        assert terminal.visto == b"ol"
        conn.sendall(b"\xa1")
    assert (cliente.wait(), terminal.tela()) == (0, "olá\r\n")


def test_um_terminal_sem_uma_letra_mostra_o_codigo_dela(abrir, terminal, abrir_cliente):
    """A mesma regra nos dois scripts, que terminam com 0."""
    como = {"env": SEM_ACENTOS, "stdout": terminal.programa}
    servidor = abrir(*PYTHON, SERVIDOR, "--porta", "0", **como)
    cliente = abrir_cliente(terminal.porta(), "olá", **como)
    assert (cliente.wait(), cliente.erros(), servidor.wait(), servidor.erros()) == (0, "", 0, "")
    tela = terminal.tela()
    for mostrado in (
        r"conex\xe3o aceita",
        "\nol\\xe1\r\n",
        r"'ol\xe1', fim limpo",
    ):
        assert mostrado in tela
