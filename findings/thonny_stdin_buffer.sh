#!/usr/bin/env bash
# Thonny 5.0.1 (PyPI): sys.stdin.buffer e o descritor 0 são o canal interno do editor.
#
# O que se esperaria: um editor pode trocar sys.stdin, mas "sys.stdin is sys.__stdin__"
#   acusaria; e sys.stdin.buffer.readline(), se existe, dá em bytes a linha digitada.
# O que acontece: o mesmo objeto está nos dois nomes, isatty() diz True e fileno() diz 0,
#   mas o descritor 0 é o cano por onde o editor manda comandos. sys.stdin.readline() dá
#   a linha; sys.stdin.buffer.readline() dá a mensagem interna com a linha dentro.
# Por que importa: o cliente TCP que copia o teclado em bytes para o soquete, certo no
#   terminal, manda ao servidor a mensagem do editor, e os testes usuais não acusam nada.
# O que fazer: em programa que possa rodar no Thonny, ler texto (input() ou
#   sys.stdin.readline()) e codificar; para detectar a troca, olhar type(sys.stdin).
set -u
D=$(mktemp -d) || exit 2
trap 'rm -rf "$D"' EXIT
python3 -m venv "$D/v" &&
  timeout 300 "$D/v/bin/pip" install -q --no-deps thonny==5.0.1 >"$D/pip.log" 2>&1 ||
  { cat "$D/pip.log"; echo "MUDOU: não deu para instalar"; exit 2; }
cat >"$D/programa.py" <<'PY'
# Programa comum: manda por TCP uma linha do teclado lida em texto e outra em bytes.
import socket, sys
i = sys.stdin
print("mesmo objeto:", i is sys.__stdin__, "isatty:", i.isatty(), "fileno:", i.fileno())
ouvinte = socket.create_server(("127.0.0.1", 0))
s = socket.create_connection(ouvinte.getsockname(), 5)
c, _de = ouvinte.accept()
print("texto?")
s.sendall(sys.stdin.readline().encode())
print("o servidor recebeu:", c.recv(4096))
print("bytes?")
s.sendall(sys.stdin.buffer.readline())
print("o servidor recebeu:", c.recv(4096))
PY
cat >"$D/editor.py" <<'PY'
# Faz a parte da janela: sobe o processo de fundo do Thonny com os mesmos canos que ela
# usa, manda rodar o programa e, a cada pergunta, "digita" uma linha.
import os, subprocess, sys, threading, thonny
from thonny.common import InputSubmission, ToplevelCommand, parse_message, serialize_message
fundo = os.path.join(os.path.dirname(thonny.__file__), "plugins/cpython_backend/cp_launcher.py")
os.chdir(sys.argv[1])
p = subprocess.Popen([sys.executable, "-u", "-B", fundo, os.getcwd(), "{}"], text=True, bufsize=0,
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
(prazo := threading.Timer(25, p.kill)).start()
manda = lambda m: p.stdin.write(serialize_message(m) + "\n")
assert p.stdout.readline().strip() == "OK"
manda(ToplevelCommand("Run", args=["programa.py"], source=None, tty_mode=True))
saida = ""
while linha := p.stdout.readline():
    m = parse_message(linha)
    if m.event_type == "ToplevelResponse":
        break
    if m.event_type == "ProgramOutput":
        saida += m.data
        if m.data in ("texto?", "bytes?"):
            manda(InputSubmission("oi\n"))
p.kill(); prazo.cancel()
print(saida, end="")
PY
export THONNY_USER_DIR="$D/thonny"
echo "$("$D/v/bin/python" -V), thonny $(cat "$D"/v/lib/python3*/site-packages/thonny/VERSION)"
timeout 40 "$D/v/bin/python" "$D/editor.py" "$D" 2>&1 | tee "$D/visto"
cat >"$D/esperado" <<'F'
mesmo objeto: True isatty: True fileno: 0
texto?
o servidor recebeu: b'oi\n'
bytes?
o servidor recebeu: b"\x021 InputSubmission(data='oi\\n')\n"
F
if diff "$D/esperado" "$D/visto"; then echo "AINDA É ASSIM: em bytes vem a mensagem do editor"; exit 0; fi
echo "MUDOU: ver as linhas acima (< o que se tinha visto, > o de agora)"; exit 1
