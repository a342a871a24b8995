"""Quem fala com os scripts: um socket feito à mão, sem os modos de um programa correto."""

import select
import socket
import struct
import time
from collections.abc import Callable

PRAZO = 60.0  # segundos: muito mais do que qualquer teste que dá certo
FOLGA = 4.0  # segundos: para uma máquina ocupada; bem menos que os tempos limite de fábrica
TAMANHO_DO_BLOCO = 1024  # bytes


def receber_tudo(conn: socket.socket) -> bytes:
    """Lê até o fim do fluxo; um reset (ConnectionResetError) não é um fim: o teste falha."""
    return b"".join(iter(lambda: conn.recv(65536), b""))


def eco(porta: int, mensagem: bytes) -> bytes:
    """Envia a mensagem e o fim dela, e devolve o que veio até o fim do fluxo."""
    with socket.create_connection(("127.0.0.1", porta), PRAZO) as client_socket:
        client_socket.sendall(mensagem)
        client_socket.shutdown(socket.SHUT_WR)
        return receber_tudo(client_socket)


def responder(resposta: bytes) -> Callable[[socket.socket], None]:
    """O que um parceiro faz: lê um bloco, seja qual for, e envia a resposta."""
    return lambda conn: conn.sendall(resposta) if conn.recv(TAMANHO_DO_BLOCO) else None


def ecoar_um_bloco(lidos: list) -> Callable[[socket.socket], None]:
    """O que um parceiro faz: devolve o primeiro bloco, e o guarda na lista."""
    return lambda conn: lidos.append(conn.recv(2 * TAMANHO_DO_BLOCO)) or conn.sendall(lidos[-1])


def resetar(conn: socket.socket) -> None:
    """Fecha com um reset (SO_LINGER ligado, 0 segundos) em vez de um fim."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def ninguem_bateu(ouvinte: socket.socket, espera: float = 0.0) -> bool:
    """Se, ao fim da espera (em segundos), não há conexão na fila."""
    return not select.select([ouvinte], [], [], espera)[0]


def esperar_ate(condicao: Callable[[], object]) -> None:
    """Volta quando a condição vale."""
    while not condicao():
        time.sleep(0.001)  # cede a vez a quem se espera
