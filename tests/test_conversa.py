"""A conversa principal: o cliente envia, o servidor devolve, e os dois terminam com 0."""

import re
import sys

import pytest
from apoio import CLIENTE, SERVIDOR, copiar, rodar, rodar_cliente
from maquina import linux, precisa_de, unix
from rede import receber_tudo


def test_o_cliente_imprime_a_mensagem_que_o_servidor_devolveu(servidor):
    assert re.fullmatch(
        r"Escutando em 127\.0\.0\.1:[1-9]\d* \(Ctrl\+C encerra\)", servidor.anuncio
    )
    cliente = rodar_cliente("olá, mundo", porta=servidor.porta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, "olá, mundo".encode(), b"")
    assert (servidor.wait(), servidor.erros()) == (0, "")


def test_sem_k_ele_conta_a_conexao_e_acaba_e_a_porta_volta_a_servir(servidor, abrir_servidor):
    """É ele quem encerra primeiro, e a conexão fica em TIME-WAIT do lado dele."""
    with servidor.conectar() as client_socket:
        quem = "{}:{}".format(*client_socket.getsockname())
        client_socket.sendall("olá\n".encode())
        assert receber_tudo(client_socket) == "olá\n".encode()
    assert servidor.linha() == rf"{quem}: bytes lidos: 5, 'olá\n', fim limpo"
    assert (servidor.resto(), servidor.wait()) == ("", 0)
    with pytest.raises(ConnectionRefusedError):
        servidor.conectar()
    assert abrir_servidor("--porta", str(servidor.porta)).porta == servidor.porta


@linux
@precisa_de("ss")
def test_a_fila_e_de_tres_conexoes(servidor):
    escuta = rodar("ss", "-Hltn", f"sport = :{servidor.porta}").stdout.split()
    assert escuta[:3] == [b"LISTEN", b"0", b"3"]


@unix
def test_cada_script_vive_sozinho_e_executado_direto(tmp_path, abrir_servidor, com_este_python):
    em_outra_pasta = {"cwd": tmp_path, "env": com_este_python()}
    este = rodar("python3", "-c", "import sys; print(sys.version, end='')", **em_outra_pasta)
    assert este.stdout.decode() == sys.version
    copias = [copiar(script, tmp_path / script.stem) for script in (SERVIDOR, CLIENTE)]
    servidor = abrir_servidor(comando=(copias[0],), **em_outra_pasta)
    cliente = rodar(copias[1], "--porta", str(servidor.porta), "oi", **em_outra_pasta)
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert servidor.wait() == 0
