#!/usr/bin/env python3
"""Servidor TCP: devolve o primeiro bloco que lê e encerra sem perder a resposta.

uso: servidor_socket.py [opções]   (-h ou --help mostra isto)
  --host HOST              endereço onde escutar (padrão: 127.0.0.1)
  --porta PORTA            de 0 a 65535; 0: o sistema escolhe (padrão: 7007)
  --tempo-limite SEGUNDOS  espera pelo primeiro bloco, até 86400 (padrão: 30)
  -k, --continuo           uma conexão após a outra até Ctrl+C (padrão: só uma)
"""

import errno
import getopt
import os
import signal
import socket
import sys
import time

BACKLOG = 3  # conexões prontas que esperam o accept (o Linux guarda uma a mais)
TAMANHO_DO_BLOCO = 1024  # bytes: o máximo que o servidor devolve, e de cada recv
ESPERA_PELO_FIM = 1.0  # segundos, depois do eco, para o cliente encerrar o lado dele
TERMINAL = sys.stdout.isatty()  # se a saída é um terminal, e não um arquivo ou um pipe
DICAS = {
    errno.EADDRINUSE: " (a porta está em uso: escolha outra com --porta)",
    errno.EACCES: " (o sistema não permite essa porta a esta conta: escolha outra com --porta)",
    errno.EADDRNOTAVAIL: " (o endereço não é desta máquina: confira --host)",
}


def servir(host: str, porta: int, tempo_limite: float, continuo: bool) -> int:
    """Atende uma conexão, ou uma após a outra; devolve o status; ou OSError, UnicodeError."""
    familia, tipo, proto, _, addr = socket.getaddrinfo(host, porta, type=socket.SOCK_STREAM)[0]
    with socket.socket(familia, tipo, proto) as serv_socket:  # passo 1
        if os.name == "posix":  # no Windows, deixaria outro programa tomar a porta em uso
            # Sem isto, uma conexão em TIME-WAIT (RFC 9293 § 3.3.2) impede voltar à porta.
            serv_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        serv_socket.bind(addr)  # passo 2
        serv_socket.listen(BACKLOG)  # passo 3
        escrever(f"Escutando em {endereco(serv_socket.getsockname())} (Ctrl+C encerra)\n")
        while True:
            try:
                conn, cliente = serv_socket.accept()  # passo 4
            except ConnectionError:
                continue  # quem estava na fila desistiu (no Linux, quem avisa é o recv)
            quem = endereco(cliente) if cliente else "cliente que já saiu"
            escrever(f"{quem}: conexão aceita\n", so_a_pessoas=True)
            relato, status = atender(conn, tempo_limite)
            escrever(f"{quem}: {relato}\n")
            if not continuo:
                return status


def atender(conn: socket.socket, tempo_limite: float) -> tuple[str, int]:
    """Espera um bloco por até `tempo_limite` segundos, ecoa-o, e devolve o relato e o status."""
    data = b""
    conn.settimeout(tempo_limite)
    try:
        # O TCP leva bytes, e não mensagens: um recv pode trazer só o começo do que foi enviado.
        data = conn.recv(TAMANHO_DO_BLOCO)  # passo 8
        conn.sendall(data)  # passo 9
        fim, status = encerrar(conn), 0
    except socket.timeout:  # a partir do Python 3.10, outro nome de TimeoutError
        fim, status = f"tempo limite de {tempo_limite:g} s esgotado", 1
    except OSError as exc:
        fim, status = f"conexão perdida ({exc})", 1
    conn.close()  # passo 11
    # O repr (!r) escapa a quebra que forjaria uma linha; o byte ff, que não é UTF-8, vira \udcff.
    return f"bytes lidos: {len(data)}, {data.decode(errors='surrogateescape')!r}, {fim}", status


def encerrar(conn: socket.socket) -> str:
    """Envia o fim do eco, descarta o que vem até o do cliente e diz como; se falha, OSError."""
    conn.shutdown(socket.SHUT_WR)
    # Fechar com bytes não lidos dá um reset (RFC 9293 § 3.6.1): o cliente não sabe se leu tudo.
    prazo = time.monotonic() + ESPERA_PELO_FIM
    conn.settimeout(ESPERA_PELO_FIM)
    descartados = 0
    fim = "fim limpo"
    try:
        while data := conn.recv(TAMANHO_DO_BLOCO):
            descartados += len(data)
            if time.monotonic() > prazo:
                raise socket.timeout  # quem não para de enviar também não encerrou
    except socket.timeout:
        fim = f"o cliente não encerrou em {ESPERA_PELO_FIM:g} s"
    return f"bytes descartados: {descartados}, {fim}" if descartados else fim


def endereco(addr: tuple[str, int]) -> str:
    """HOST:PORTA, com colchetes quando é IPv6 (RFC 3986 § 3.2.2)."""
    host, porta = addr[:2]  # no IPv6 há mais dois números
    return f"[{host}]:{porta}" if ":" in host else f"{host}:{porta}"


# Daqui para baixo, nada de rede: o que se mostra e a linha de comando.
def escrever(texto: str, so_a_pessoas: bool = False) -> None:
    """Mostra texto a uma pessoa; a um programa, dá bytes, sem buffer, ou nada; ou OSError."""
    uma_pessoa_le = TERMINAL or sys.stdout is not sys.__stdout__  # a janela de um editor
    if uma_pessoa_le:
        codificacao = getattr(sys.stdout, "encoding", None) or "utf-8"  # há quem não tenha
        texto = texto.encode(codificacao, "backslashreplace").decode(codificacao)
        print(texto, end="", flush=True)
    elif not so_a_pessoas:
        data = texto.encode()
        while data:
            data = data[os.write(1, data) :]  # pode ter escrito só uma parte


def ler_argumentos() -> tuple[str, int, float, bool]:
    """Devolve host, porta, tempo limite em segundos e se é contínuo; ou GetoptError."""
    longas = ["host=", "porta=", "tempo-limite=", "continuo", "help"]
    opcoes, resto = getopt.gnu_getopt(sys.argv[1:], "kh", longas)
    valores = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "30", **dict(opcoes)}
    if "-h" in valores or "--help" in valores:
        escrever(__doc__)
        sys.exit(0)
    if resto:
        raise getopt.GetoptError(f"argumento inesperado, {resto[0]!r}: cada opção começa com --")
    porta, limite = valores["--porta"], valores["--tempo-limite"]
    if not (porta.isdecimal() and len(porta) <= 5 and int(porta) <= 65535):
        raise getopt.GetoptError(f"--porta {porta!r}: use um número inteiro de 0 a 65535")
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):
        raise getopt.GetoptError(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5")
    continuo = "-k" in valores or "--continuo" in valores
    return valores["--host"], int(porta), float(limite), continuo


def main() -> int:
    """Lê os argumentos e roda o servidor; conta em uma linha o que falhou; devolve o status."""
    if os.getpid() != 1 and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C mata na hora, e o shell sabe disso
    host = ""
    try:
        host, porta, tempo_limite, continuo = ler_argumentos()
        return servir(host, porta, tempo_limite, continuo)
    except KeyboardInterrupt:  # só no processo 1, a quem a ação padrão do sinal não chega
        return 130
    except getopt.GetoptError as exc:
        erro, status = f"uso incorreto: {exc} (veja --help)", 2
    except (socket.gaierror, UnicodeError) as exc:  # UnicodeError: nome de host impossível
        erro, status = f"não foi possível encontrar o host {host!r} (confira --host): {exc}", 1
    except OSError as exc:
        erro, status = f"o servidor parou: {exc}{DICAS.get(exc.errno or 0, '')}", 1
    if sys.stderr:  # sem ele, o print escreveria na saída
        print(f"{os.path.basename(sys.argv[0])}: erro: {erro}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
