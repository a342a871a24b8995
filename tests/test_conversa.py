"""A conversa principal: o cliente envia, o servidor devolve, e os dois terminam com 0."""

import re
import shutil
import socket

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    RAIZ,
    SERVIDOR,
    TAMANHO_DO_BLOCO,
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
    assert servidor.linha() == rf"{quem}: 5 bytes, 'olá\n', fim limpo"
    assert (servidor.resto(), servidor.wait()) == ("", 0)
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


def test_o_servidor_volta_a_mesma_porta_logo_depois_da_conversa(servidor, abrir_servidor):
    """É ele quem encerra primeiro, e a conexão fica em TIME-WAIT do lado dele."""
    assert rodar_cliente("oi", porta=servidor.porta).returncode == 0
    assert servidor.wait() == 0
    outro = abrir_servidor("--porta", str(servidor.porta))
    assert outro.porta == servidor.porta


@precisa_de_ipv6
def test_o_host_decide_entre_ipv4_e_ipv6_nos_dois_scripts(abrir_servidor):
    servidor = abrir_servidor("--host", "::1")
    assert servidor.anuncio.startswith(f"Escutando em [::1]:{servidor.porta} ")
    cliente = rodar_cliente("--host", "::1", "oi", porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout) == (0, b"oi")
    assert servidor.linha().startswith("[::1]:")


def test_a_porta_aparece_em_numero_mesmo_que_o_sistema_lhe_de_um_nome():
    programa = "import servidor_socket as s; print(s.endereco(('127.0.0.1', 80)))"
    assert rodar(*PYTHON, "-B", "-c", programa, cwd=RAIZ).stdout.split() == [b"127.0.0.1:80"]


@unix
def test_cada_script_funciona_copiado_sozinho_com_chmod_744_e_executado_direto(
    tmp_path, abrir_servidor
):
    copias = []
    for original in (SERVIDOR, CLIENTE):
        pasta = tmp_path / original.stem
        pasta.mkdir()
        copia = pasta / original.name
        shutil.copyfile(original, copia)
        copia.chmod(0o744)
        copias.append(copia)
    servidor = abrir_servidor(comando=(copias[0],), cwd=copias[0].parent)
    cliente = rodar(copias[1], "--porta", str(servidor.porta), "oi", cwd=copias[1].parent)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert servidor.wait() == 0
    for copia in copias:
        assert [caminho.name for caminho in copia.parent.iterdir()] == [copia.name]
