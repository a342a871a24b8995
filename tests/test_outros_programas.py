"""Outros programas na outra ponta: o que se mostra aqui é TCP, e não um acordo entre os dois."""

import asyncio
import re
import subprocess

from conftest import (
    PRAZO,
    TAMANHO_DO_BLOCO,
    Processo,
    ler_um_pedaco,
    precisa_de,
    rodar,
    rodar_cliente,
)


def test_o_cliente_conversa_com_um_eco_do_asyncio():
    async def conversar() -> subprocess.CompletedProcess[bytes]:
        async def ecoar(leitor: asyncio.StreamReader, escritor: asyncio.StreamWriter) -> None:
            escritor.write(await leitor.read())  # até o fim, como a RFC 862
            escritor.close()
            await escritor.wait_closed()

        async with await asyncio.start_server(ecoar, "127.0.0.1", 0) as servidor:
            porta = servidor.sockets[0].getsockname()[1]
            return await asyncio.to_thread(rodar_cliente, "olá", porta=porta)

    cliente = asyncio.run(conversar())
    assert (cliente.returncode, cliente.stdout) == (0, "olá".encode())


def test_um_cliente_do_asyncio_recebe_o_bloco_e_um_fim_limpo(servidor):
    async def conversar() -> bytes:
        leitor, escritor = await asyncio.open_connection(servidor.host, servidor.porta)
        escritor.write(b"x" * 1_000_000)
        escritor.write_eof()
        try:
            return await leitor.read()
        finally:
            escritor.close()
            await escritor.wait_closed()

    assert asyncio.run(asyncio.wait_for(conversar(), PRAZO)) == b"x" * TAMANHO_DO_BLOCO


@precisa_de("curl")
def test_o_curl_mostra_o_proprio_pedido_devolvido_pelo_servidor(servidor):
    url = f"http://{servidor.host}:{servidor.porta}/eco"
    processo = rodar("curl", "--silent", "--noproxy", "*", "--http0.9", url)
    assert processo.returncode == 0
    assert processo.stdout.startswith(b"GET /eco HTTP/1.1\r\nHost: ")
    assert processo.stdout.endswith(b"\r\n\r\n")
    assert r"'GET /eco HTTP/1.1\r\nHost: " in servidor.linha()


@precisa_de("socat")
def test_o_cliente_conversa_com_um_eco_do_socat(abrir):
    comando = ["socat", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", "EXEC:cat"]
    socat = abrir(Processo, *comando, stdout=subprocess.DEVNULL)
    visto = b""
    while not (anuncio := re.search(rb"listening on .*:(\d+)\n", visto)):
        visto += ler_um_pedaco(socat.popen.stderr.fileno())
    cliente = rodar_cliente("olá", porta=int(anuncio[1]))
    assert (cliente.returncode, cliente.stdout) == (0, "olá".encode())
