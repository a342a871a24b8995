"""A resposta sai inteira e sem mudança, o FIN não passa à frente dela, e o que falta se conta."""

import errno
import select
import socket
import threading
import time

import pytest
from apoio import CLIENTE, chamar, rodar_cliente
from maquina import do_sistema, limitar_o_arquivo_a, linux
from rede import PRAZO, TAMANHO_DO_BLOCO, receber_tudo, resetar, responder

FALHOU = "cliente_socket.py: erro: a conversa com '127.0.0.1' falhou: "


def test_a_saida_e_a_resposta_como_veio_ate_o_fim_do_fluxo(parceiro):
    resposta = bytes(range(256)) * 5000
    cliente = rodar_cliente("oi", porta=parceiro(responder(resposta)))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, resposta, b"")


def test_na_tela_a_quebra_final_so_e_posta_quando_falta_e_nao_ha_meio_caractere(parceiro):
    longa = "x" + "é" * 1500
    respostas = {b"oi": "oi\n", b"oi\n": "oi\n", b"oi\n\n": "oi\n\n", b"ol\xe1": "ol\ufffd\n"}
    for resposta, na_tela in {**respostas, longa.encode(): f"{longa}\n"}.items():
        visto = chamar(CLIENTE, "oi", "--porta", str(parceiro(responder(resposta))))
        assert visto == (0, na_tela, "")


@pytest.mark.parametrize(("resposta", "na_tela"), [(b"", ""), (b"o", "o\n")])
def test_uma_resposta_menor_que_a_mensagem_e_um_erro(parceiro, resposta, na_tela):
    visto = chamar(CLIENTE, "oito byt", "--porta", str(parceiro(responder(resposta))))
    assert visto == (1, na_tela, f"{FALHOU}a resposta tem {len(resposta)} dos 8 bytes\n")


@linux
@pytest.mark.parametrize("resposta", [b"", b"metade"])
def test_um_reset_e_um_erro_e_o_que_chegou_antes_e_impresso(parceiro, resposta):
    porta = parceiro(lambda conn: responder(resposta)(conn) or resetar(conn))
    cliente = rodar_cliente("oi", porta=porta)
    assert (cliente.returncode, cliente.stdout) == (1, resposta)
    assert cliente.stderr.decode() == (
        f"{FALHOU}{do_sistema(errno.ECONNRESET)} "
        "(quem aceitou a conexão já se foi: o servidor, ou um programa no meio)\n"
    )


def test_o_limite_vale_tambem_no_meio_e_o_que_chegou_e_impresso(parceiro):
    terminou = threading.Event()
    porta = str(parceiro(lambda conn: conn.sendall(b"metade") or terminou.wait(PRAZO)))
    visto = chamar(CLIENTE, "oi", "--tempo-limite", "1.5", "--porta", porta)
    terminou.set()
    assert visto == (1, "metade\n", f"{FALHOU}nada chegou em 1.5 s (o servidor está ocupado?)\n")


@linux
def test_um_disco_que_enche_no_meio_da_resposta_e_um_erro_de_uma_linha(parceiro, tmp_path):
    destino = tmp_path / "resposta"
    with destino.open("wb") as saida:
        como = {"stdout": saida, "preexec_fn": limitar_o_arquivo_a(1500)}
        cliente = rodar_cliente("oi", porta=parceiro(responder(b"x" * 2048)), **como)
    assert cliente.returncode == 1
    assert cliente.stderr.decode() == f"{FALHOU}{do_sistema(errno.EFBIG)}\n"
    assert destino.read_bytes() == b"x" * 1500


def test_um_rele_que_acaba_no_primeiro_fim_entrega_a_resposta(parceiro, servidor):
    """Entre os dois pode haver um terceiro que, ao primeiro FIN que vê, encerra a conversa."""

    def repassar(conn: socket.socket) -> None:
        with servidor.conectar() as outro:
            destino = {conn: outro, outro: conn}
            while True:
                for origem in select.select([conn, outro], [], [])[0]:
                    if not (data := origem.recv(TAMANHO_DO_BLOCO)):
                        return
                    destino[origem].sendall(data)

    cliente = rodar_cliente("olá", "--tempo-limite", "100", porta=parceiro(repassar))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, "olá".encode(), b"")
    assert servidor.linha().endswith(": bytes lidos: 4, 'olá', fim limpo")


def test_o_eco_da_rfc_862_recebe_o_fim_que_espera_em_um_decimo_do_limite(parceiro):
    decimo = 1.5  # segundos; o do limite de fábrica é 1
    espera = []

    def ecoar_ate_o_fim(conn: socket.socket) -> None:
        data = conn.recv(TAMANHO_DO_BLOCO)
        inicio = time.monotonic()
        while data:
            conn.sendall(data)
            data = conn.recv(TAMANHO_DO_BLOCO)
        espera.append(time.monotonic() - inicio)

    porta = str(parceiro(ecoar_ate_o_fim))
    visto = chamar(CLIENTE, "oi", "--tempo-limite", f"{decimo * 10}", "--porta", porta)
    assert visto == (0, "oi\n", "")
    assert 0.8 * decimo < espera[0] < 1.9 * decimo


def test_o_fim_vai_uma_vez_so_por_mais_que_a_resposta_pause(parceiro, monkeypatch):
    """O núcleo da Apple nega o segundo shutdown."""
    pedidos, encerrar = [], socket.socket.shutdown

    def pausar(conn: socket.socket) -> None:
        assert receber_tudo(conn) == b"oi"
        conn.sendall(b"um ")
        assert not select.select([], [], [conn], 0.4)[2]  # calado, dois décimos do limite
        conn.sendall(b"dois")

    porta = str(parceiro(pausar))
    monkeypatch.setattr(
        socket.socket, "shutdown", lambda *como: pedidos.append(como[1]) or encerrar(*como)
    )
    assert chamar(CLIENTE, "oi", "--tempo-limite=2", "--porta", porta) == (0, "um dois\n", "")
    assert pedidos == [socket.SHUT_WR]
