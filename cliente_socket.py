#!/usr/bin/env python3
"""Cliente TCP: envia uma mensagem e escreve na saída a resposta, até o fim dela.

uso: cliente_socket.py [opções] [--] [MENSAGEM]   (-h ou --help mostra isto)
  MENSAGEM                 até 1024 bytes (padrão: pergunta ou lê a entrada)
  --host HOST              onde está o servidor (padrão: 127.0.0.1)
  --porta PORTA            de 1 a 65535 (padrão: 7007)
  --tempo-limite SEGUNDOS  cada espera pelo servidor, até 86400 (padrão: 10)
"""

import codecs
import errno
import getopt
import os
import signal
import socket
import sys

TAMANHO_DO_BLOCO = 1024  # bytes: o máximo da mensagem (o eco não passa disso) e de cada recv
DECODIFICADOR = codecs.getincrementaldecoder("utf-8")("replace")  # guarda um caractere partido
MOTIVOS = {  # EWOULDBLOCK é como o connect_ex diz que o tempo limite acabou
    errno.ECONNREFUSED: "conexão recusada (o servidor está escutando nesse endereço?)",
    errno.EWOULDBLOCK: "tempo limite esgotado (confira o endereço ou aumente --tempo-limite)",
    errno.ETIMEDOUT: "o sistema desistiu de esperar (confira o endereço)",
    errno.ENETUNREACH: "não há caminho até essa rede (confira o endereço e a conexão)",
    errno.EHOSTUNREACH: "não há caminho até essa máquina (confira o endereço e a conexão)",
    errno.EADDRNOTAVAIL: "ninguém se conecta a esse endereço (use o da máquina do servidor)",
}


def conversar(host: str, porta: int, tempo_limite: float, mensagem: bytes) -> None:
    """Conecta-se, envia a mensagem e escreve a resposta; se falha, OSError ou RuntimeError."""
    with conectar(host, porta, tempo_limite) as client_socket:
        try:
            client_socket.sendall(mensagem)  # passo 7
            client_socket.shutdown(socket.SHUT_WR)  # um eco (RFC 862) só encerra depois de nós
        except OSError as exc:
            receber(client_socket)  # o que o servidor disse antes, se ainda chegou
            raise ConnectionError("o servidor encerrou antes do fim do envio") from exc
        if (recebidos := receber(client_socket)) < len(mensagem):
            raise ConnectionError(f"a resposta tem {recebidos} dos {len(mensagem)} bytes enviados")


def conectar(host: str, porta: int, tempo_limite: float) -> socket.socket:
    """Devolve um socket conectado, que espera até `tempo_limite` segundos, ou RuntimeError."""
    nome = host.encode("ascii" if host.isascii() else "idna")  # só acentos carregam o idna
    falhas = []
    for familia, tipo, proto, _, addr in socket.getaddrinfo(nome, porta, type=socket.SOCK_STREAM):
        try:
            client_socket = socket.socket(familia, tipo, proto)  # passo 5
            client_socket.settimeout(tempo_limite)
            erro = client_socket.connect_ex(addr)  # passo 6
            if erro in (0, errno.ECONNRESET, errno.EPIPE):  # um reset vem depois de conectar
                return client_socket
            client_socket.close()
        except OSError as exc:  # por exemplo, esta máquina está sem IPv6
            erro = exc.errno or 0
        falhas.append(f"{addr[0]}: erro {erro}, {MOTIVOS.get(erro) or errno.errorcode.get(erro)}")
    raise RuntimeError(f"não foi possível conectar à porta {porta}: {'; '.join(falhas)}")


def receber(client_socket: socket.socket) -> int:
    """Escreve a resposta conforme chega, até o fim dela; devolve quantos bytes ela tem."""
    recebidos, ultimo = 0, b"\n"
    try:
        while data := client_socket.recv(TAMANHO_DO_BLOCO):  # passo 10
            escrever(data)
            recebidos, ultimo = recebidos + len(data), data[-1:]
    finally:
        if ultimo != b"\n" and sys.stdout.isatty():
            escrever(b"\n")
    return recebidos


# Daqui para baixo, nada de rede: o que se lê, o que se mostra e a linha de comando.
def ler_mensagem() -> bytes:
    """Lê de uma pessoa uma linha; de um programa, tudo (no máximo 1 byte além do bloco)."""
    try:
        if sys.stdin and sys.stdin.isatty():
            print("Mensagem: ", end="", file=sys.stderr, flush=True)
            linha = sys.stdin.readline()
            print(end="" if linha.endswith("\n") else "\n", file=sys.stderr)  # depois de um Ctrl+D
            return linha.rstrip("\n").encode()
        mensagem = b""
        while data := os.read(0, TAMANHO_DO_BLOCO + 1 - len(mensagem)):
            mensagem += data
        return mensagem
    except (OSError, UnicodeError) as exc:
        raise RuntimeError(f"não foi possível ler a mensagem: {exc}") from exc


def escrever(data: bytes) -> None:
    """Mostra a uma pessoa texto; a um programa, os bytes, sem buffer; se falha, RuntimeError."""
    try:
        if sys.stdout.isatty():
            print(DECODIFICADOR.decode(data), end="", flush=True)
        else:
            while data:
                data = data[os.write(1, data) :]
    except (OSError, UnicodeError, AttributeError) as exc:  # AttributeError: veio fechada (>&-)
        raise RuntimeError(f"a escrita na saída padrão falhou: {exc}") from exc


def ler_argumentos() -> tuple[str, int, float, bytes]:
    """Lê a linha de comando e a mensagem; GetoptError se não servem."""
    longas = ["host=", "porta=", "tempo-limite=", "help"]
    opcoes, resto = getopt.gnu_getopt(sys.argv[1:], "h", longas)
    valores = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "10"}
    valores.update(opcoes)
    porta, limite = valores["--porta"], valores["--tempo-limite"]
    if "-h" in valores or "--help" in valores:
        escrever((__doc__ or "A ajuda é o começo do arquivo, que a opção -OO retira.\n").encode())
        sys.exit(0)
    if len(resto) > 1:
        raise getopt.GetoptError(f"mais de uma mensagem, {resto!r}: com espaços, use aspas")
    if not (porta.isdecimal() and len(porta) <= 5 and 1 <= int(porta) <= 65535):
        raise getopt.GetoptError(f"--porta {porta!r}: use um número inteiro de 1 a 65535")
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):
        raise getopt.GetoptError(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5")
    mensagem = os.fsencode(resto[0]) if resto else ler_mensagem()
    if not 1 <= len(mensagem) <= TAMANHO_DO_BLOCO:
        raise getopt.GetoptError(f"a mensagem vai de 1 a 1024 bytes; lidos: {len(mensagem)}")
    return valores["--host"], int(porta), float(limite), mensagem


def main() -> int:
    """Lê os argumentos e roda o cliente; conta em uma linha o que falhou; devolve o status."""
    if os.getpid() != 1 and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C mata na hora, e o shell sabe disso
    try:
        host, porta, tempo_limite, mensagem = ler_argumentos()
        conversar(host, porta, tempo_limite, mensagem)
        return 0
    except KeyboardInterrupt:  # só no processo 1, que não morre assim
        return 130
    except getopt.GetoptError as exc:
        erro, status = f"uso incorreto: {exc} (veja --help)", 2
    except (socket.gaierror, UnicodeError) as exc:  # UnicodeError: nome de host impossível
        erro, status = f"não foi possível encontrar o host {host!r} (confira --host): {exc}", 1
    except OSError as exc:
        motivo = "tempo limite esgotado" if isinstance(exc, socket.timeout) else exc
        erro, status = f"a conversa com {host!r} na porta {porta} falhou: {motivo}", 1
    except RuntimeError as exc:
        erro, status = f"{exc}", 1
    print(f"{os.path.basename(sys.argv[0])}: erro: {erro}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
