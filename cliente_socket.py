#!/usr/bin/env python3
"""Cliente TCP: envia uma mensagem e escreve na saída a resposta, até o fim dela.

uso: cliente_socket.py [opções] [--] [MENSAGEM]
  MENSAGEM                 até 1024 bytes (padrão: pergunta ou lê a entrada)
  --host HOST              onde está o servidor (padrão: 127.0.0.1)
  --porta PORTA            de 1 a 65535 (padrão: 7007)
  --tempo-limite SEGUNDOS  espera pelo servidor, até 86400 (padrão: 10)
  -h, --help               mostra esta ajuda e termina
"""

import errno
import getopt
import os
import signal
import socket
import sys

TAMANHO_DO_BLOCO = 1024  # bytes: o máximo da mensagem (o eco não passa disso) e de cada recv
MOTIVOS = {  # EWOULDBLOCK é como o connect_ex diz que o tempo acabou
    errno.ECONNREFUSED: "Connection refused (o servidor está escutando nesse endereço?)",
    errno.EWOULDBLOCK: "tempo limite esgotado (confira o endereço ou aumente --tempo-limite)",
}


def conversar(host: str, porta: int, tempo_limite: float, mensagem: bytes) -> int:
    """Conecta-se, envia a mensagem, escreve a resposta e devolve 0; SystemExit se algo falha."""
    falha = f"não foi possível encontrar o host {host!r} (confira --host)"  # se o passo falhar
    try:
        nome = host.encode("ascii" if host.isascii() else "idna")  # só acentos carregam o idna
        enderecos = socket.getaddrinfo(nome, porta, type=socket.SOCK_STREAM)
        falha = f"não foi possível conectar à porta {porta}"
        with conectar(enderecos, tempo_limite) as client_socket:
            falha = f"a conversa com {host!r} na porta {porta} falhou"
            try:
                client_socket.sendall(mensagem)
                # Sem isto, um eco que encerra depois de nós (RFC 862) nos esperaria, e nós a ele.
                client_socket.shutdown(socket.SHUT_WR)
            except OSError as exc:
                receber(client_socket)  # o que o servidor disse antes de encerrar não se perde
                raise ConnectionError("o servidor encerrou antes do fim do envio") from exc
            recebidos = receber(client_socket)
        if recebidos < len(mensagem):
            raise ConnectionError(f"a resposta tem {recebidos} dos {len(mensagem)} bytes enviados")
    except (OSError, UnicodeError) as exc:  # UnicodeError: nome de host impossível
        terminar(f"{falha}: {'tempo limite esgotado' if isinstance(exc, TimeoutError) else exc}")
    return 0


def conectar(enderecos: list[tuple], tempo_limite: float) -> socket.socket:
    """Devolve um socket conectado, que espera até `tempo_limite` segundos; OSError se não pode."""
    falhas = []
    for familia, tipo, proto, _, addr in enderecos:
        try:
            client_socket = socket.socket(familia, tipo, proto)
            client_socket.settimeout(tempo_limite)
            codigo = client_socket.connect_ex(addr)
            if codigo in (0, errno.ECONNRESET, errno.EPIPE):  # só dá um reset quem já aceitou
                return client_socket
            client_socket.close()
        except OSError as exc:  # por exemplo, esta máquina está sem IPv6
            codigo = exc.errno
        falhas.append(f"{addr[0]}: {MOTIVOS.get(codigo, os.strerror(codigo))}")
    raise OSError("; ".join(falhas))


def receber(client_socket: socket.socket) -> int:
    """Escreve a resposta conforme chega, até o fim dela; devolve quantos bytes ela tem."""
    recebidos, ultimo = 0, b"\n"
    try:
        while data := client_socket.recv(TAMANHO_DO_BLOCO):
            escrever(data)
            recebidos, ultimo = recebidos + len(data), data[-1:]
    finally:
        if ultimo != b"\n" and os.isatty(1):
            escrever(b"\n")
    return recebidos


# Daqui para baixo, nada de rede: o que se lê, o que se mostra e a linha de comando.


def ler_mensagem() -> bytes:
    """Lê uma linha do teclado, ou a entrada padrão até o fim (no máximo 1 byte além do bloco)."""
    try:
        if os.isatty(0):
            try:
                os.write(2, b"Mensagem: ")
            except OSError:  # sem um stderr não se vê a pergunta, e nada mais muda
                pass
            return sys.stdin.buffer.raw.readline().removesuffix(os.linesep.encode())
        mensagem = b""
        while data := os.read(0, TAMANHO_DO_BLOCO + 1 - len(mensagem)):
            mensagem += data
        return mensagem
    except OSError as exc:
        terminar(f"não foi possível ler a mensagem: {exc}")


def escrever(data: bytes) -> None:
    """Escreve tudo, sem deixar nada no buffer que o print usa; SystemExit se não consegue."""
    try:
        with open(1, "wb", closefd=False) as saida:
            saida.write(data)
    except OSError as exc:
        terminar(f"a escrita na saída padrão falhou: {exc}")


def terminar(erro: str, status: int = 1) -> None:
    """Escreve o erro em uma linha no stderr, se ele a aceita, e termina: nunca retorna."""
    try:
        with sys.stderr:  # fechado aqui, um stderr cheio não troca o status por 120
            print(f"{os.path.basename(sys.argv[0])}: erro: {erro}", file=sys.stderr)
    finally:
        sys.exit(status)


def ler_argumentos() -> tuple[str, int, float, bytes]:
    """Lê a linha de comando e a mensagem; SystemExit com status 2 se são inválidas."""
    longas = ["host=", "porta=", "tempo-limite=", "help"]
    try:
        opcoes, resto = getopt.gnu_getopt(sys.argv[1:], "h", longas)
    except getopt.GetoptError as exc:
        terminar(f"opção inválida: {exc.msg!r} (veja --help)", 2)
    valores = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "10"} | dict(opcoes)
    porta, limite = valores["--porta"], valores["--tempo-limite"]
    if valores.keys() & {"-h", "--help"}:
        escrever(f"{__doc__}".encode(sys.stdout.encoding, "backslashreplace"))
        sys.exit(0)
    if len(resto) > 1:
        terminar(f"mais de uma mensagem: {resto!r}; com espaços, use aspas (veja --help)", 2)
    if not (porta.isdecimal() and 1 <= float(porta) <= 65535):
        terminar(f"--porta {porta!r}: use um número inteiro de 1 a 65535 (veja --help)", 2)
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):
        terminar(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5 (veja --help)", 2)
    mensagem = os.fsencode(resto[0]) if resto else ler_mensagem()
    if not 1 <= len(mensagem) <= TAMANHO_DO_BLOCO:
        terminar(f"a mensagem vai de 1 a {TAMANHO_DO_BLOCO} bytes; lidos: {len(mensagem)}", 2)
    return valores["--host"], int(porta), float(limite), mensagem


def main() -> int:
    """Prepara o processo, lê os argumentos e roda o cliente; devolve o status de saída."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C mata na hora, e o shell sabe disso
    escrever(b"")  # se a saída veio fechada (>&-), o socket herdaria o descritor dela
    return conversar(*ler_argumentos())


if __name__ == "__main__":
    sys.exit(main())
