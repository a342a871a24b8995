#!/usr/bin/env bash
# SOFTWARE: Hypercorn 0.18.0 (servidor ASGI, worker asyncio) com Starlette 1.10.0, em Python 3.11 (e 3.12, 3.13).
# O QUE SE ESPERARIA: a documentação do Hypercorn diz que, depois do EOF do cliente, ele ainda deixa mandar
#   mensagens ao cliente. Logo, quem envia um pedido completo e faz shutdown(SHUT_WR) receberia a resposta
#   inteira; e, se algo a cortasse, faltaria o fim (o bloco «0» do chunked) e o cliente veria o corte.
# O QUE ACONTECE: no FIN o Hypercorn entrega «http.disconnect» à aplicação, embora o caminho de volta siga
#   aberto. O StreamingResponse do Starlette toma isso por «cliente sumiu» e cancela o gerador: só sai o
#   primeiro pedaço. Sem middleware o corte aparece (IncompleteRead). Mas basta um BaseHTTPMiddleware que não
#   faz NADA para o mesmo corte sair com o fim do chunked bem formado: 200, mensagem válida, 1 linha em vez
#   de 5, nenhum erro no cliente nem no servidor. A mesma resposta montada de uma vez (/texto) chega inteira.
# POR QUE IMPORTA: para quem escreve cliente TCP (nc -N, relé que propaga o FIN), «li até o fim bem formado»
#   deixa de provar «li tudo», e o mesmo servidor acerta numa rota e corta noutra.
# O QUE FAZER: no cliente, só fazer shutdown(SHUT_WR) depois de ler a resposta (em HTTP o tamanho já delimita
#   o pedido); no servidor, middleware ASGI puro, com o qual o corte ao menos aparece, e um total no corpo.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv "$d/v"
"$d/v/bin/pip" -q --disable-pip-version-check install hypercorn==0.18.0 starlette==1.10.0 h11==0.16.0 anyio==4.16.0
cat > "$d/app.py" <<'PY'
import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
async def linhas():
    for i in range(1, 6):
        yield f"linha {i}\n"
        await anyio.sleep(0.3)
async def fluxo(pedido): return StreamingResponse(linhas())
async def texto(pedido): return PlainTextResponse("".join([pedaco async for pedaco in linhas()]))
class Nada(BaseHTTPMiddleware):
    async def dispatch(self, pedido, seguinte): return await seguinte(pedido)
rotas = [Route("/fluxo", fluxo), Route("/texto", texto)]
puro, com_nada = Starlette(routes=rotas), Starlette(routes=rotas, middleware=[Middleware(Nada)])
PY
cat > "$d/prova.py" <<'PY'
import http.client, importlib.metadata as m, socket, subprocess, sys, time
print("versões:", sys.version.split()[0], *(f"{p} {m.version(p)}" for p in ("hypercorn", "starlette", "h11", "anyio")))
def porta():
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); return s.getsockname()[1]
def pede(p, rota, meio_fechado):
    with socket.create_connection(("127.0.0.1", p), 5) as s:
        s.sendall(f"GET {rota} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if meio_fechado: s.shutdown(socket.SHUT_WR)
        r = http.client.HTTPResponse(s); r.begin()
        try: corpo, fim = r.read(), "completa"
        except http.client.IncompleteRead as e: corpo, fim = e.partial, "IncompleteRead"
        return r.status, corpo.count(b"\n"), fim
visto = {}
for app in "puro", "com_nada":
    p = porta(); reg = open(f"{app}.log", "w+")
    h = subprocess.Popen([sys.executable, "-m", "hypercorn", "-w", "0", "-b", f"127.0.0.1:{p}", f"app:{app}"], stderr=reg, stdout=reg)
    try:
        for _ in range(100):
            try: socket.create_connection(("127.0.0.1", p), 1).close(); break
            except OSError: time.sleep(0.1)
        for rota, meio in ("/fluxo", False), ("/fluxo", True), ("/texto", True):
            visto[app, rota, meio] = v = pede(p, rota, meio)
            print(f"{app:8} {rota} {'meio-fechada' if meio else 'aberta':12}: status {v[0]}, {v[1]} de 5 linhas, leitura {v[2]}")
    finally: h.terminate(); h.wait(10)
    reg.seek(0); t = reg.read(); visto[app, "erros"] = "Traceback" in t or "ERROR" in t
    print(f"{app:8} erro no registro do servidor: {'sim' if visto[app, 'erros'] else 'nenhum'}")
antes = {k: False if k[1] == "erros" else (200, 5, "completa") for k in visto}
antes |= {("puro", "/fluxo", True): (200, 1, "IncompleteRead"), ("com_nada", "/fluxo", True): (200, 1, "completa")}
mudou = {k: (antes[k], visto[k]) for k in antes if antes[k] != visto[k]}
print("MUDOU (antes, agora):" if mudou else "A surpresa continua: 1 de 5 linhas, dada por completa.", mudou or "")
sys.exit(bool(mudou))
PY
cd "$d" && timeout 50 v/bin/python prova.py || { echo "MUDOU: a prova saiu com código $? (ver acima)"; exit 1; }
