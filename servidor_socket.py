#!/usr/bin/env python3
"""Servidor TCP: devolve o primeiro bloco que lê e encerra sem perder a resposta.

uso: servidor_socket.py [opções]
  --host HOST              endereço onde escutar (padrão: 127.0.0.1)
  --porta PORTA            de 0 a 65535; 0: o sistema escolhe (padrão: 7007)
  --tempo-limite SEGUNDOS  espera pelo primeiro bloco, até 86400 (padrão: 30)
  -k, --continuo           uma conexão após a outra até Ctrl+C (padrão: só uma)
  -h, --help               mostra esta ajuda e termina
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
ESPERA_PELO_FIM = 1.0  # segundos, ao todo, para o cliente encerrar o lado dele
DICAS = {  # o que fazer, conforme o erro ao escutar
    errno.EADDRINUSE: " (a porta está em uso: escolha outra com --porta)",
    errno.EACCES: " (esta conta não pode usar essa porta: escolha outra com --porta)",
    errno.EADDRNOTAVAIL: " (o endereço não é desta máquina: confira --host)",
}


def servir(host: str, porta: int, tempo_limite: float, continuo: bool) -> int:
    """Escuta e atende uma conexão, ou uma após a outra; devolve o status. SystemExit se falha."""
    falha = f"não foi possível encontrar o host {host!r} (confira --host)"  # se o passo falhar
    try:
        familia, tipo, proto, _, addr = socket.getaddrinfo(host, porta, type=socket.SOCK_STREAM)[0]
        falha = f"não foi possível escutar em {endereco(addr)}"
        with socket.socket(familia, tipo, proto) as serv_socket:
            if os.name == "posix":  # no Windows, deixaria outro programa tomar a porta em uso
                # Sem isto, uma conexão em TIME-WAIT (RFC 9293 § 3.3.2) impede voltar à porta.
                serv_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            serv_socket.bind(addr)
            serv_socket.listen(BACKLOG)
            escrever(f"Escutando em {endereco(serv_socket.getsockname())} (Ctrl+C encerra)\n")
            falha = "não foi possível aceitar uma conexão"
            while True:
                try:
                    conn, addr = serv_socket.accept()
                except ConnectionAbortedError:  # nos BSDs: o cliente desistiu ainda na fila
                    continue
                relato, status = atender(conn, tempo_limite)
                escrever(f"{endereco(addr)}: {relato}\n")
                if not continuo:
                    return status
    except (OSError, UnicodeError) as exc:  # UnicodeError: nome de host impossível
        terminar(f"{falha}: {exc}{DICAS.get(getattr(exc, 'errno', None), '')}")


def atender(conn: socket.socket, tempo_limite: float) -> tuple[str, int]:
    """Espera um bloco por até `tempo_limite` segundos e o devolve; diz como foi, e 1 se falhou."""
    data, status = b"", 0
    try:
        conn.settimeout(tempo_limite)
        # O TCP leva bytes, e não mensagens: um recv pode trazer só o começo do que foi enviado.
        data = conn.recv(TAMANHO_DO_BLOCO)
        conn.sendall(data)
        fim = encerrar(conn)
    except TimeoutError:
        fim, status = f"tempo limite de {tempo_limite:g} s esgotado", 1
    except OSError as exc:
        fim, status = f"conexão perdida ({exc})", 1
    finally:
        conn.close()
    # O repr (!r) escapa o que forjaria uma linha; um byte ff, que não é UTF-8, vira \udcff.
    tamanho = "1 byte" if len(data) == 1 else f"{len(data)} bytes"
    return f"{tamanho}, {data.decode(errors='surrogateescape')!r}, {fim}", status


def encerrar(conn: socket.socket) -> str:
    """Envia o fim do eco, descarta o que chega até o cliente encerrar, e diz como terminou."""
    # Fechar com bytes por ler causa um reset (RFC 9293 § 3.6.1), e o cliente perderia o eco.
    conn.shutdown(socket.SHUT_WR)
    descartados, data = 0, None
    prazo = time.monotonic() + ESPERA_PELO_FIM
    try:
        while data != b"" and (resta := prazo - time.monotonic()) > 0:
            conn.settimeout(resta)  # o que resta, e não um segundo a cada recv
            data = conn.recv(TAMANHO_DO_BLOCO)
            descartados += len(data)
    except TimeoutError:
        pass
    fim = "fim limpo" if data == b"" else f"o cliente não encerrou em {ESPERA_PELO_FIM:g} s"
    return f"bytes descartados: {descartados}, {fim}" if descartados else fim


def endereco(addr: tuple) -> str:
    """HOST:PORTA, com colchetes quando é IPv6 (RFC 3986 § 3.2.2)."""
    host, porta = socket.getnameinfo(addr, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return f"[{host}]:{porta}" if ":" in host else f"{host}:{porta}"


# Daqui para baixo, nada de rede: o que se mostra e a linha de comando.


def escrever(texto: str) -> None:
    """Escreve tudo, sem deixar nada no buffer que o print usa; SystemExit se não consegue."""
    try:
        with open(1, "wb", closefd=False) as saida:
            saida.write(texto.encode(sys.stdout.encoding, "backslashreplace"))
    except OSError as exc:
        terminar(f"a escrita na saída padrão falhou: {exc}")


def terminar(erro: str, status: int = 1) -> None:
    """Escreve o erro em uma linha no stderr, se ele a aceita, e termina: nunca retorna."""
    try:
        with sys.stderr:  # fechado aqui, um stderr cheio não troca o status por 120
            print(f"{os.path.basename(sys.argv[0])}: erro: {erro}", file=sys.stderr)
    finally:
        sys.exit(status)


def ler_argumentos() -> tuple[str, int, float, bool]:
    """Lê a linha de comando; SystemExit com status 2 se é inválida."""
    longas = ["host=", "porta=", "tempo-limite=", "continuo", "help"]
    try:
        opcoes, resto = getopt.gnu_getopt(sys.argv[1:], "kh", longas)
    except getopt.GetoptError as exc:
        terminar(f"opção inválida: {exc.msg!r} (veja --help)", 2)
    valores = {"--host": "127.0.0.1", "--porta": "7007", "--tempo-limite": "30"} | dict(opcoes)
    porta, limite = valores["--porta"], valores["--tempo-limite"]
    if valores.keys() & {"-h", "--help"}:
        escrever(f"{__doc__}")
        sys.exit(0)
    if resto:
        terminar(f"argumento inesperado: {resto[0]!r} (veja --help)", 2)
    if not (porta.isdecimal() and 0 <= float(porta) <= 65535):
        terminar(f"--porta {porta!r}: use um número inteiro de 0 a 65535 (veja --help)", 2)
    if not (limite.replace(".", "", 1).isdecimal() and 0 < float(limite) <= 86400):
        terminar(f"--tempo-limite {limite!r}: use um número até 86400, como 0.5 (veja --help)", 2)
    return valores["--host"], int(porta), float(limite), bool(valores.keys() & {"-k", "--continuo"})


def main() -> int:
    """Prepara o processo, lê os argumentos e roda o servidor; devolve o status de saída."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C mata na hora, e o shell sabe disso
    escrever("")  # se a saída veio fechada (>&-), o socket herdaria o descritor dela
    return servir(*ler_argumentos())


if __name__ == "__main__":
    sys.exit(main())
