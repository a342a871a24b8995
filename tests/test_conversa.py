"""A conversa principal: o cliente envia, o servidor devolve, e os dois terminam com 0."""

import re
import shutil
import socket

import pytest
from conftest import (
    CLIENTE,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
    Servidor,
    eco,
    esperar_a_fila_esvaziar,
    linux,
    precisa_de,
    precisa_de_ipv6,
    rodar,
    rodar_cliente,
    tamanho_da_fila,
    unix,
)


def test_o_cliente_imprime_a_mensagem_que_o_servidor_devolveu(servidor):
    assert re.fullmatch(r"Escutando em 127\.0\.0\.1:[1-9]\d* \(Ctrl\+C encerra\)", servidor.anuncio)
    cliente = rodar_cliente("olá, mundo", porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, "olá, mundo".encode(), b"")
    assert servidor.wait() == 0
    assert servidor.erros() == ""


def test_o_servidor_conta_quem_quantos_bytes_que_texto_e_como_terminou(servidor):
    with servidor.conectar() as client_socket:
        quem = "{}:{}".format(*client_socket.getsockname())
        client_socket.sendall("olá\n".encode())
        client_socket.shutdown(socket.SHUT_WR)
        assert client_socket.recv(TAMANHO_DO_BLOCO) == "olá\n".encode()
    assert servidor.linha() == rf"{quem}: 5 bytes, 'olá\n', fim limpo"
    assert servidor.resto() == ""


def test_sem_k_o_servidor_atende_uma_conexao_e_para_de_escutar(servidor):
    assert eco(servidor.porta, b"unica") == b"unica"
    assert servidor.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        servidor.conectar()


def test_com_k_quem_chega_durante_um_atendimento_espera_a_vez(servidor_continuo):
    with servidor_continuo.conectar() as primeiro, servidor_continuo.conectar() as segundo:
        segundo.sendall(b"segundo")
        segundo.shutdown(socket.SHUT_WR)
        segundo.settimeout(0.2)
        with pytest.raises(socket.timeout):
            segundo.recv(TAMANHO_DO_BLOCO)
        primeiro.sendall(b"primeiro")
        primeiro.shutdown(socket.SHUT_WR)
        assert primeiro.recv(TAMANHO_DO_BLOCO) == b"primeiro"
        assert "'primeiro'" in servidor_continuo.linha()
        assert "'segundo'" in servidor_continuo.linha()


@linux
def test_a_fila_guarda_as_conexoes_que_o_backlog_de_3_permite(servidor_continuo):
    """O Linux aceita uma além do backlog; a seguinte fica sem resposta ao pedido de conexão."""
    conexoes = []
    try:
        # A primeira sai da fila com o accept: é ela que o servidor está atendendo.
        conexoes.append(servidor_continuo.conectar())
        esperar_a_fila_esvaziar(servidor_continuo.porta)
        for _ in range(4):
            conexoes.append(servidor_continuo.conectar())
        assert tamanho_da_fila(servidor_continuo.porta) == 4
        excedente = socket.socket()
        conexoes.append(excedente)
        excedente.settimeout(0.2)
        with pytest.raises(socket.timeout):
            excedente.connect((servidor_continuo.host, servidor_continuo.porta))
    finally:
        for conexao in conexoes:
            conexao.close()


@pytest.mark.parametrize("tamanho", [1, TAMANHO_DO_BLOCO])
def test_de_1_a_1024_bytes_a_mensagem_volta_inteira(servidor, tamanho):
    mensagem = bytes(i % 251 for i in range(tamanho))
    cliente = rodar_cliente(porta=servidor.porta, input=mensagem)
    assert (cliente.returncode, cliente.stdout) == (0, mensagem)
    assert f": {tamanho} {'byte' if tamanho == 1 else 'bytes'}, " in servidor.linha()


@precisa_de_ipv6
def test_o_host_decide_entre_ipv4_e_ipv6_nos_dois_scripts(abrir):
    servidor = abrir(Servidor, "--host", "::1")
    assert servidor.anuncio.startswith(f"Escutando em [::1]:{servidor.porta} ")
    cliente = rodar_cliente("--host", "::1", "oi", porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout) == (0, b"oi")
    assert servidor.linha().startswith("[::1]:")


@precisa_de("curl")
def test_o_curl_mostra_o_proprio_pedido_devolvido_pelo_servidor(servidor):
    url = f"http://{servidor.host}:{servidor.porta}/eco"
    processo = rodar("curl", "--silent", "--noproxy", "*", "--http0.9", url)
    assert processo.returncode == 0
    assert processo.stdout.startswith(b"GET /eco HTTP/1.1\r\nHost: ")
    assert processo.stdout.endswith(b"\r\n\r\n")
    assert r"'GET /eco HTTP/1.1\r\nHost: " in servidor.linha()


@unix
def test_cada_script_funciona_copiado_sozinho_com_chmod_744_e_executado_direto(tmp_path, abrir):
    copias = []
    for original in (SERVIDOR, CLIENTE):
        pasta = tmp_path / original.stem
        pasta.mkdir()
        copia = pasta / original.name
        shutil.copyfile(original, copia)
        copia.chmod(0o744)
        copias.append(copia)
    servidor = abrir(Servidor, comando=(copias[0],), cwd=copias[0].parent)
    cliente = rodar(copias[1], "--porta", str(servidor.porta), "oi", cwd=copias[1].parent)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert servidor.wait() == 0
    for copia in copias:
        assert [caminho.name for caminho in copia.parent.iterdir()] == [copia.name]
