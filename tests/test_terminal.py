"""No terminal: a pergunta, o que se digita, a linha final e o Ctrl+C, em um pseudoterminal."""

import contextlib
import fcntl
import os
import pty
import socket
import subprocess
import sys
import termios

import pytest
from conftest import CLIENTE, Processo, Servidor, ler_um_pedaco, receber_tudo

CTRL_C, CTRL_D = b"\x03", b"\x04"


class Terminal:
    """Um pseudoterminal: o que a pessoa vê e o que ela digita."""

    def __init__(self) -> None:
        self.pessoa, self.programa = pty.openpty()
        self.visto = b""

    def tomar(self) -> None:
        """No processo filho: o terminal passa a ser o dele, e o Ctrl+C chega a ele."""
        os.setsid()
        fcntl.ioctl(self.programa, termios.TIOCSCTTY, 0)

    def esperar(self, texto: str) -> None:
        """Lê a tela até que o texto apareça nela."""
        while texto.encode() not in self.visto:
            pedaco = ler_um_pedaco(self.pessoa)
            assert pedaco, f"a tela acabou antes de {texto!r}: {self.visto!r}"
            self.visto += pedaco

    def tela(self) -> str:
        """Fecha o lado do programa e lê tudo o que ele mostrou."""
        os.close(self.programa)
        self.programa = -1
        while pedaco := ler_um_pedaco(self.pessoa):
            self.visto += pedaco
        return self.visto.decode()

    def digitar(self, teclas: bytes) -> None:
        os.write(self.pessoa, teclas)

    def fechar(self) -> None:
        for descritor in (self.pessoa, self.programa):
            with contextlib.suppress(OSError):
                os.close(descritor)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.fechar()


@pytest.fixture
def no_terminal(abrir, terminal):
    """no_terminal(classe, ...): abre o processo com o terminal nas três pontas, salvo exceções."""

    def abrir_no_terminal(classe, *argumentos, **opcoes):
        pontas = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.programa)
        return abrir(classe, *argumentos, **(pontas | opcoes), preexec_fn=terminal.tomar)

    return abrir_no_terminal


def comando_do_cliente(porta: int, *argumentos: str) -> list[str]:
    return [sys.executable, str(CLIENTE), "--porta", str(porta), *argumentos]


def test_a_pergunta_aparece_e_a_linha_digitada_vai_sem_a_quebra(servidor, terminal, no_terminal):
    cliente = no_terminal(Processo, comando_do_cliente(servidor.porta))
    terminal.esperar("Mensagem: ")
    terminal.digitar("olá\n".encode())
    assert cliente.status() == 0
    assert terminal.tela() == "Mensagem: olá\r\nolá\r\n"
    assert "4 bytes, 'olá', " in servidor.linha()


def test_a_pergunta_vai_ao_stderr_e_a_saida_so_tem_a_resposta(servidor, terminal, no_terminal):
    comando = comando_do_cliente(servidor.porta)
    cliente = no_terminal(Processo, comando, stdout=subprocess.PIPE)
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"oi\n")
    assert cliente.resto() == "oi"
    assert cliente.status() == 0
    assert terminal.tela() == "Mensagem: oi\r\n"


def test_enquanto_alguem_digita_ninguem_ocupa_o_servidor(terminal, no_terminal):
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        cliente = no_terminal(Processo, comando_do_cliente(serv_socket.getsockname()[1]))
        terminal.esperar("Mensagem: ")
        serv_socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            serv_socket.accept()
        terminal.digitar(CTRL_C)
        assert cliente.status() == 130


def test_bytes_digitados_que_nao_sao_utf8_passam_como_estao(
    servidor, terminal, no_terminal, monkeypatch
):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # como em uma sessão pt_BR.UTF-8
    cliente = no_terminal(Processo, comando_do_cliente(servidor.porta), stdout=subprocess.DEVNULL)
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"a\xff\xc3\n")
    assert cliente.status() == 0
    assert r"3 bytes, 'a\\xff\\xc3', " in servidor.linha()


@pytest.mark.parametrize("teclas", [b"\n", CTRL_D])
def test_nada_digitado_e_uma_mensagem_vazia(porta_sem_ninguem, terminal, no_terminal, teclas):
    cliente = no_terminal(Processo, comando_do_cliente(porta_sem_ninguem))
    terminal.esperar("Mensagem: ")
    terminal.digitar(teclas)
    assert cliente.status() == 2
    erro = "cliente_socket.py: erro: a mensagem tem 0 bytes; o servidor lê de 1 a 1024"
    assert terminal.tela() == f"Mensagem: \r\n{erro} (veja --help)\r\n"


def test_uma_linha_longa_demais_diz_quanto_tem(porta_sem_ninguem, terminal, no_terminal):
    cliente = no_terminal(Processo, comando_do_cliente(porta_sem_ninguem))
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"x" * 1025 + b"\n")
    assert cliente.status() == 2
    assert "a mensagem tem 1025 bytes ou mais; " in terminal.tela()


@pytest.mark.parametrize(
    ("resposta", "na_tela"),
    [(b"oi", "oi\r\n"), (b"oi\n", "oi\r\n"), (b"", ""), (b"oi\n\n", "oi\r\n\r\n")],
)
def test_a_quebra_final_so_e_acrescentada_quando_falta(
    parceiro, terminal, no_terminal, resposta, na_tela
):
    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(resposta)

    cliente = no_terminal(Processo, comando_do_cliente(parceiro(responder), "!!"), stderr=None)
    assert cliente.status() == (0 if resposta else 1)
    assert terminal.tela() == na_tela


def test_uma_resposta_interrompida_deixa_o_erro_em_uma_linha_propria(
    parceiro, terminal, no_terminal
):
    def responder_pouco(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"met")

    cliente = no_terminal(Processo, comando_do_cliente(parceiro(responder_pouco), "metade"))
    assert cliente.status() == 1
    assert terminal.tela().startswith("met\r\ncliente_socket.py: erro: a conversa com 127.0.0.1:")


def test_ctrl_c_na_pergunta_termina_com_130_e_devolve_a_linha(
    porta_sem_ninguem, terminal, no_terminal
):
    cliente = no_terminal(Processo, comando_do_cliente(porta_sem_ninguem))
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"pensando bem")
    terminal.esperar("pensando bem")
    terminal.digitar(CTRL_C)
    assert cliente.status() == 130
    assert terminal.tela() == "Mensagem: pensando bem^C\r\n"


def test_ctrl_c_no_servidor_termina_com_130_e_devolve_a_linha(terminal, no_terminal):
    servidor = no_terminal(Servidor, "-k", stdout=subprocess.PIPE)
    terminal.digitar(CTRL_C)
    assert servidor.status() == 130
    assert terminal.tela() == "^C\r\n"
