"""O fim da mensagem não passa à frente da resposta, e não falta a quem espera por ele.

Entre os dois programas pode haver um terceiro, que repassa os bytes e, ao primeiro fim que vê,
encerra a conversa inteira. E há servidores que só respondem, ou encerram, depois do fim.
"""

import select
import socket
import time

import pytest
from conftest import FOLGA, PRAZO, TAMANHO_DO_BLOCO, receber_tudo, rodar_cliente


def test_um_rele_que_acaba_no_primeiro_fim_entrega_a_resposta(parceiro, servidor):
    def repassar(conn: socket.socket) -> None:
        with socket.create_connection((servidor.host, servidor.porta), PRAZO) as outro:
            destino = {conn: outro, outro: conn}
            while True:
                for origem in select.select([conn, outro], [], [])[0]:
                    if not (data := origem.recv(TAMANHO_DO_BLOCO)):
                        return
                    destino[origem].sendall(data)

    cliente = rodar_cliente("olá", "--tempo-limite", "100", porta=parceiro(repassar))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, "olá".encode(), b"")
    assert servidor.linha().endswith(": 4 bytes, 'olá', fim limpo")


def test_uma_resposta_que_demora_chega_antes_que_o_cliente_envie_o_fim(parceiro):
    def demorar(conn: socket.socket) -> None:
        assert conn.recv(TAMANHO_DO_BLOCO) == b"oi"
        conn.settimeout(0.3)
        with pytest.raises(socket.timeout):
            conn.recv(1)
        conn.sendall(b"oi")

    cliente = rodar_cliente("oi", "--tempo-limite", "100", porta=parceiro(demorar))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")


LIMITE = 6.0  # segundos


def ler_ate_o_fim_e_so_entao_responder(conn: socket.socket) -> None:
    assert receber_tudo(conn) == b"oi"
    conn.sendall(b"oi")


def devolver_tudo_ate_o_fim(conn: socket.socket) -> None:
    """É o eco da RFC 862."""
    while data := conn.recv(TAMANHO_DO_BLOCO):
        conn.sendall(data)


@pytest.mark.parametrize("faz", [ler_ate_o_fim_e_so_entao_responder, devolver_tudo_ate_o_fim])
def test_quem_espera_pelo_fim_da_mensagem_o_recebe_depois_de_um_decimo_do_limite(parceiro, faz):
    inicio = time.monotonic()
    cliente = rodar_cliente("oi", "--tempo-limite", str(LIMITE), porta=parceiro(faz))
    assert (cliente.returncode, cliente.stdout, cliente.stderr) == (0, b"oi", b"")
    assert LIMITE / 10 < time.monotonic() - inicio < LIMITE / 10 + FOLGA < LIMITE
