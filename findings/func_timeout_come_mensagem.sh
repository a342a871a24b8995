#!/usr/bin/env bash
# func_timeout 4.3.5 (PyPI): a leitura "encerrada" pelo prazo engole a mensagem seguinte.
#
# O que se esperaria: func_timeout(prazo, s.recv, (100,)) levanta FunctionTimedOut e encerra
#   a chamada: a documentação fala em "terminating" e diz que a thread é interrompida "even in
#   C code" (embora só na próxima volta ao Python). O que chegar depois ficaria para a próxima
#   leitura, como fica com settimeout() e com o timeout-decorator, que interrompe por sinal.
# O que acontece: a thread segue presa no recv(), sem que ninguém saiba. A primeira mensagem que
#   chega é dela: é lida e jogada fora, sem erro nem aviso. A leitura seguinte não acha nada,
#   vence o prazo e deixa outra thread presa, que come a segunda, e assim por diante. Com
#   accept() é igual: o cliente conecta e ninguém o atende.
# Por que importa: o teste que confere "nada deve chegar em meio segundo" com o func_timeout
#   faz falhar todos os passos seguintes, e a culpa cai no programa testado.
# O que fazer: pôr o prazo no próprio socket (settimeout()) ou usar select(); com o
#   func_timeout, dar a conexão por perdida depois de FunctionTimedOut e abrir outra.
set -u
D=$(mktemp -d) || exit 2
trap 'rm -rf "$D"' EXIT
python3 -m venv "$D/v" &&
  timeout 300 "$D/v/bin/pip" install -q --disable-pip-version-check \
    func_timeout==4.3.5 timeout-decorator==0.5.0 >"$D/pip.log" 2>&1 ||
  { cat "$D/pip.log"; echo "MUDOU: não deu para instalar"; exit 2; }
cat >"$D/prova.py" <<'PY'
import socket, sys, time
import func_timeout, timeout_decorator
modo = sys.argv[1]

def com_prazo(s, funcao, *args):      # devolve "PRAZO" se nada vier em meio segundo
    try:
        if modo == "settimeout":
            s.settimeout(0.5)
            return funcao(*args)
        if modo == "decorator":
            return timeout_decorator.timeout(0.5)(funcao)(*args)
        return func_timeout.func_timeout(0.5, funcao, args)
    except (socket.timeout, timeout_decorator.TimeoutError, func_timeout.FunctionTimedOut):
        return "PRAZO"

ouvinte = socket.create_server(("127.0.0.1", 0))
nosso = socket.create_connection(ouvinte.getsockname())
outro, _de = ouvinte.accept()
print(f"{modo}: recv sem nada a ler: {com_prazo(nosso, nosso.recv, 100)}")
visto = []
for mensagem in b"primeira", b"segunda":   # uma de cada vez, com tempo de sobra para chegar
    outro.sendall(mensagem)
    time.sleep(0.5)
    visto.append(com_prazo(nosso, nosso.recv, 100))
print(f"{modo}: recv de duas mensagens: {visto}")
print(f"{modo}: accept sem cliente: {com_prazo(ouvinte, ouvinte.accept)}")
clientes = []
for nome in "um", "dois":
    c = socket.create_connection(ouvinte.getsockname(), 5)
    clientes.append(c)
    time.sleep(0.5)
    aceito = com_prazo(ouvinte, ouvinte.accept)
    quem = "atendido" if aceito != "PRAZO" else "ninguém atendeu"
    print(f"{modo}: cliente {nome}, conectado: {quem}")
PY
"$D/v/bin/python" -c 'import sys, importlib.metadata as m
print("Python", sys.version.split()[0],
      *[p + " " + m.version(p) for p in ("func_timeout", "timeout-decorator")])'
for m in settimeout decorator func_timeout; do
  timeout 30 "$D/v/bin/python" "$D/prova.py" $m
done 2>&1 | tee "$D/visto"
for m in settimeout decorator func_timeout; do
  R="[b'primeira', b'segunda']"; A=atendido
  [ $m = func_timeout ] && R="['PRAZO', 'PRAZO']" A="ninguém atendeu"
  printf "$m: %s\n" "recv sem nada a ler: PRAZO" "recv de duas mensagens: $R" \
    "accept sem cliente: PRAZO" "cliente um, conectado: $A" "cliente dois, conectado: $A"
done >"$D/esperado"
if diff "$D/esperado" "$D/visto"; then
  echo "AINDA É ASSIM: só com func_timeout as mensagens somem"; exit 0; fi
echo "MUDOU: ver as linhas acima (< o que se tinha visto, > o de agora)"; exit 1
