"""A conversa principal: o cliente envia, o servidor devolve, e os dois terminam com 0."""

import re
import socket

import pytest
from conftest import (
    CLIENTE,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    copiar,
    linux,
    precisa_de,
    precisa_de_ipv6,
    rodar,
    rodar_cliente,
    unix,
)


def test_o_cliente_imprime_a_mensagem_que_o_servidor_devolveu(servidor):
    assert re.fullmatch(
        r"Escutando em 127\.0\.0\.1:[1-9]\d* \(Ctrl\+C encerra\)", servidor.anuncio
    )
    cliente = rodar_cliente("olá, mundo", porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, "olá, mundo".encode(), b"")
    assert servidor.wait() == 0
    assert servidor.erros() == ""


def test_o_servidor_conta_como_foi_a_conexao_e_sem_k_para_de_escutar(servidor):
    with servidor.conectar() as client_socket:
        quem = "{}:{}".format(*client_socket.getsockname())
        client_socket.sendall("olá\n".encode())
        client_socket.shutdown(socket.SHUT_WR)
        assert client_socket.recv(TAMANHO_DO_BLOCO) == "olá\n".encode()
    assert servidor.linha() == rf"{quem}: bytes lidos: 5, 'olá\n', fim limpo"
    assert (servidor.resto(), servidor.wait()) == ("", 0)
    with pytest.raises(ConnectionRefusedError):
        servidor.conectar()


def test_o_servidor_volta_a_mesma_porta_logo_depois_da_conversa(servidor, abrir_servidor):
    """É ele quem encerra primeiro, e a conexão fica em TIME-WAIT do lado dele."""
    assert rodar_cliente("oi", porta=servidor.porta).returncode == 0
    assert servidor.wait() == 0
    outro = abrir_servidor("--porta", str(servidor.porta))
    assert outro.porta == servidor.porta


@linux
@precisa_de("ss")
def test_a_fila_e_de_tres_conexoes(servidor):
    escuta = rodar("ss", "-Hltn", f"sport = :{servidor.porta}").stdout.split()
    assert escuta[:3] == [b"LISTEN", b"0", b"3"]


@precisa_de_ipv6
def test_o_host_decide_entre_ipv4_e_ipv6_nos_dois_scripts(abrir_servidor):
    servidor = abrir_servidor("--host", "::1")
    assert servidor.anuncio.startswith(f"Escutando em [::1]:{servidor.porta} ")
    cliente = rodar_cliente("--host", "::1", "oi", porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout) == (0, b"oi")
    assert servidor.linha().startswith("[::1]:")


@unix
def test_cada_script_funciona_sozinho_em_uma_pasta_e_executado_direto(tmp_path, abrir_servidor):
    do_servidor, do_cliente = tmp_path / "servidor", tmp_path / "cliente"
    servidor = abrir_servidor(comando=(copiar(SERVIDOR, do_servidor),), cwd=do_servidor)
    cliente = rodar(copiar(CLIENTE, do_cliente), "--porta", str(servidor.porta), "oi")
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert servidor.wait() == 0
