"""No terminal: a pergunta, o que se digita, a linha final e o Ctrl+C, em um pseudoterminal."""

import socket
import subprocess
import sys

import pytest
from conftest import CLIENTE, Processo, Servidor, receber_tudo

CTRL_C, CTRL_D = b"\x03", b"\x04"


def comando_do_cliente(porta: int, *argumentos: str) -> list[str]:
    return [sys.executable, str(CLIENTE), "--porta", str(porta), *argumentos]


def test_a_pergunta_aparece_e_a_linha_digitada_vai_sem_a_quebra(servidor, terminal):
    cliente = terminal.abrir(Processo, comando_do_cliente(servidor.porta))
    terminal.esperar("Mensagem: ")
    terminal.digitar("olá\n".encode())
    assert cliente.status() == 0
    assert terminal.tela() == "Mensagem: olá\r\nolá\r\n"
    assert "4 bytes, 'olá', " in servidor.linha()


def test_a_pergunta_vai_ao_stderr_e_a_saida_so_tem_a_resposta(servidor, terminal):
    comando = comando_do_cliente(servidor.porta)
    cliente = terminal.abrir(Processo, comando, stdout=subprocess.PIPE)
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"oi\n")
    assert cliente.resto() == "oi"
    assert cliente.status() == 0
    assert terminal.tela() == "Mensagem: oi\r\n"


def test_enquanto_alguem_digita_ninguem_ocupa_o_servidor(terminal):
    with socket.create_server(("127.0.0.1", 0)) as serv_socket:
        cliente = terminal.abrir(Processo, comando_do_cliente(serv_socket.getsockname()[1]))
        terminal.esperar("Mensagem: ")
        serv_socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            serv_socket.accept()
        cliente.esperar_parar()
        terminal.digitar(CTRL_C)
        assert cliente.status() == 130


def test_bytes_digitados_que_nao_sao_utf8_passam_como_estao(servidor, terminal, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # como em uma sessão pt_BR.UTF-8
    cliente = terminal.abrir(
        Processo, comando_do_cliente(servidor.porta), stdout=subprocess.DEVNULL
    )
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"a\xff\xc3\n")
    assert cliente.status() == 0
    assert r"3 bytes, 'a\\xff\\xc3', " in servidor.linha()


@pytest.mark.parametrize("teclas", [b"\n", CTRL_D])
def test_nada_digitado_e_uma_mensagem_vazia(porta_sem_ninguem, terminal, teclas):
    cliente = terminal.abrir(Processo, comando_do_cliente(porta_sem_ninguem))
    terminal.esperar("Mensagem: ")
    terminal.digitar(teclas)
    assert cliente.status() == 2
    erro = "cliente_socket.py: erro: a mensagem tem 0 bytes; o servidor lê de 1 a 1024"
    assert terminal.tela() == f"Mensagem: \r\n{erro} (veja --help)\r\n"


def test_uma_linha_longa_demais_diz_quanto_tem(porta_sem_ninguem, terminal):
    cliente = terminal.abrir(Processo, comando_do_cliente(porta_sem_ninguem))
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"x" * 1025 + b"\n")
    assert cliente.status() == 2
    assert "a mensagem tem 1025 bytes ou mais; " in terminal.tela()


@pytest.mark.parametrize(
    ("resposta", "na_tela"),
    [(b"oi", "oi\r\n"), (b"oi\n", "oi\r\n"), (b"", ""), (b"oi\n\n", "oi\r\n\r\n")],
)
def test_a_quebra_final_so_e_acrescentada_quando_falta(parceiro, terminal, resposta, na_tela):
    def responder(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(resposta)

    cliente = terminal.abrir(Processo, comando_do_cliente(parceiro(responder), "!!"), stderr=None)
    assert cliente.status() == (0 if resposta else 1)
    assert terminal.tela() == na_tela


def test_uma_resposta_interrompida_deixa_o_erro_em_uma_linha_propria(parceiro, terminal):
    def responder_pouco(conn: socket.socket) -> None:
        receber_tudo(conn)
        conn.sendall(b"met")

    cliente = terminal.abrir(Processo, comando_do_cliente(parceiro(responder_pouco), "metade"))
    assert cliente.status() == 1
    assert terminal.tela().startswith("met\r\ncliente_socket.py: erro: a conversa com 127.0.0.1:")


def test_ctrl_c_na_pergunta_termina_com_130_e_devolve_a_linha(porta_sem_ninguem, terminal):
    cliente = terminal.abrir(Processo, comando_do_cliente(porta_sem_ninguem))
    terminal.esperar("Mensagem: ")
    terminal.digitar(b"pensando bem")
    terminal.esperar("pensando bem")
    cliente.esperar_parar()
    terminal.digitar(CTRL_C)
    assert cliente.status() == 130
    assert terminal.tela() == "Mensagem: pensando bem^C\r\n"


def test_ctrl_c_no_servidor_termina_com_130_e_devolve_a_linha(terminal):
    servidor = terminal.abrir(Servidor, "-k", stdout=subprocess.PIPE)
    servidor.esperar_parar()
    terminal.digitar(CTRL_C)
    assert servidor.status() == 130
    assert terminal.tela() == "^C\r\n"
