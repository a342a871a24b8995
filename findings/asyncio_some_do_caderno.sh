#!/usr/bin/env bash
# ipykernel 7.4.0 com nbclient 0.11.0 (PyPI): some o que um servidor asyncio imprime.
#
# O que se esperaria: executar um caderno sem navegador (nbclient, que o nbconvert --execute
#   usa) guarda o que as células imprimem. Servidor na célula 1, cliente na célula 2: o que
#   o servidor imprime ao atender sai numa das duas, seja ele de asyncio ou de threads.
# O que acontece: o do servidor de threads sai na célula 2. O do servidor asyncio não sai em
#   nenhuma: nem print, nem logging, nem o traceback da exceção. O kernel o endereça à célula
#   que criou o servidor, e o nbclient já parou de guardar o que vem para ela. A resposta
#   chega ao cliente, e a execução termina sem erro.
# Por que importa: o caderno entregue ou corrigido automaticamente não mostra o registro nem
#   as falhas do servidor; parece que ninguém o chamou, ou que nada falhou.
# O que fazer: guardar os avisos numa lista e imprimi-la na célula do cliente; ou pôr o
#   cliente na mesma célula do servidor; ou servir de uma thread. Requer o Python 3.11.
set -u
D=$(mktemp -d) || exit 2
trap 'rm -rf "$D"' EXIT
python3 -m venv "$D/v" &&
  timeout 300 "$D/v/bin/pip" install -q --disable-pip-version-check \
    ipykernel==7.4.0 nbclient==0.11.0 >"$D/pip.log" 2>&1 ||
  { cat "$D/pip.log"; echo "MUDOU: não deu para instalar"; exit 2; }
cat >"$D/servidor.py" <<'PY'
import asyncio, logging, socketserver, threading
lista = []
async def atende(leitor, escritor):
    pedido = (await leitor.readline()).decode().strip()
    print("asyncio-print", pedido); logging.warning("asyncio-logging %s", pedido)
    lista.append("asyncio-lista " + pedido)
    escritor.write(b"ok\n"); await escritor.drain(); escritor.close()
    raise ValueError("asyncio-exceção " + pedido)
servidor = await asyncio.start_server(atende, "127.0.0.1", 0)
class Atende(socketserver.StreamRequestHandler):
    def handle(self):
        pedido = self.rfile.readline().decode().strip()
        print("threads-print", pedido); logging.warning("threads-logging %s", pedido)
        lista.append("threads-lista " + pedido)
        self.wfile.write(b"ok\n")
        raise ValueError("threads-exceção " + pedido)
outro = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Atende)
threading.Thread(target=outro.serve_forever, daemon=True).start()
PY
cat >"$D/cliente.py" <<'PY'
for porta in servidor.sockets[0].getsockname()[1], outro.server_address[1]:
    leitor, escritor = await asyncio.open_connection("127.0.0.1", porta)
    escritor.write(b"PEDIDO\n")
    assert await asyncio.wait_for(leitor.readline(), 5) == b"ok\n"  # a resposta sempre vem
    escritor.close()
await asyncio.sleep(1)  # tempo de sobra para tudo sair
print(*lista, sep="\n"); lista.clear()
PY
cat >"$D/prova.py" <<'PY'
import nbclient, nbformat.v4 as v4
servidor, cliente = open("servidor.py").read(), open("cliente.py").read()
celulas = servidor + cliente.replace("PEDIDO", "junto"), cliente.replace("PEDIDO", "depois")
caderno = v4.new_notebook(cells=[v4.new_code_cell(c) for c in celulas])
nbclient.NotebookClient(caderno, kernel_name="python3", timeout=30).execute()
saiu = ["".join(o.get("text", "") for o in c.outputs) for c in caderno.cells]
for quando, tipo in ("junto", "asyncio"), ("junto", "threads"), \
                    ("depois", "asyncio"), ("depois", "threads"):
    for forma in "print", "logging", "exceção", "lista":
        onde = [f"célula {n}" for n, t in enumerate(saiu, 1) if f"{tipo}-{forma} {quando}" in t]
        print(f"{quando} {tipo} {forma}:", *onde or ["SUMIU"])
PY
export HOME="$D" IPYTHONDIR="$D/i" JUPYTER_CONFIG_DIR="$D/c" JUPYTER_RUNTIME_DIR="$D/r"
"$D/v/bin/python" -c 'import sys, importlib.metadata as m
print("Python", sys.version.split()[0],
      *[p + " " + m.version(p) for p in ("ipykernel", "nbclient")])'
cd "$D" && timeout 90 v/bin/python prova.py 2>erros | tee visto
for caso in "junto asyncio" "junto threads" "depois asyncio" "depois threads"; do
  onde="célula 1"; [ "${caso% *}" = depois ] && onde="célula 2"
  aviso=$onde; [ "$caso" = "depois asyncio" ] && aviso=SUMIU
  printf "$caso %s\n" "print: $aviso" "logging: $aviso" "exceção: $aviso" "lista: $onde"
done >esperado
if diff esperado visto; then echo "AINDA É ASSIM: só o do servidor asyncio some"; exit 0; fi
cat erros; echo "MUDOU: ver as linhas acima (< o que se tinha visto, > o de agora)"; exit 1
