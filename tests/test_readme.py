"""O README diz a verdade: seus blocos rodam, e o que ele conta do código está no código."""

import ast
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    RAIZ,
    SERVIDOR,
    copiar,
    esperar_ate,
    linux,
    pode_rodar,
    rodar,
    rodar_cliente,
    unix,
)
from terminal import Terminal

README = (RAIZ / "README.md").read_text(encoding="utf-8")
SCRIPTS = {"servidor": SERVIDOR, "cliente": CLIENTE}


# Cada bloco: a linguagem e o texto. Depois de um sh, o bloco text é o que se deve ver.
BLOCOS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
EXECUTAVEIS = [
    (comando, saida)
    for (lingua, comando), (seguinte, saida) in zip(BLOCOS, BLOCOS[1:])
    if (lingua, seguinte) == ("sh", "text")
]


def textos(lingua: str) -> list[str]:
    return [texto for uma, texto in BLOCOS if uma == lingua]


def conferir(visto: str, saida: str) -> None:
    """Falha se as linhas vistas não são as do README, onde … é um trecho qualquer."""

    def sem_o_que_varia(texto: str) -> list[str]:
        com_a_porta_do_readme = re.sub(r"\b\d{5}\b", "48080", texto)
        return [" ".join(linha.split()) for linha in com_a_porta_do_readme.splitlines()]

    linhas, esperadas = sem_o_que_varia(visto), sem_o_que_varia(saida)
    assert len(linhas) == len(esperadas), visto
    for linha, esperada in zip(linhas, esperadas):
        comeco, reticencias, fim = esperada.partition("…")
        assert linha.startswith(comeco), visto
        assert linha.endswith(fim) if reticencias else linha == comeco, visto


def como_quem_le() -> dict[str, str]:
    """O ambiente de quem cola um bloco: sem as variáveis do Python e da rede de quem o testa."""
    ambiente = {
        nome: valor
        for nome, valor in os.environ.items()
        if not nome.startswith("PYTHON") and "proxy" not in nome.lower()
    }
    return {**ambiente, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}


@pytest.fixture(scope="module")
def rede_propria() -> tuple[str, ...]:
    """O começo de um comando que roda em uma rede só dele, se o Linux deixa; senão, ()."""
    comando = ("unshare", "--user", "--map-root-user", "--net")
    comando += ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    return comando if pode_rodar(*comando) else ()


@pytest.fixture
def copia_do_projeto(tmp_path) -> Path:
    """Os dois scripts, em uma pasta nova."""
    for script in SCRIPTS.values():
        copiar(script, tmp_path / "projeto")
    return tmp_path / "projeto"


def ocupada(porta: str) -> bool:
    try:
        socket.create_server(("127.0.0.1", int(porta))).close()
    except OSError:
        return True
    return False


def pular_o_que_falta(comando: str, rede_propria: tuple[str, ...]) -> None:
    if "nc " in comando:  # o de outros sistemas sai sem ler o resto
        nc = rodar("nc", "-h") if shutil.which("nc") else None
        if not nc or b"Detach from stdin" not in nc.stderr + nc.stdout:
            pytest.skip("não há o nc do OpenBSD aqui")
    if not rede_propria:
        for porta in {"7007", *re.findall(r"\b(7008|8000)\b", comando)}:
            if ocupada(porta):
                pytest.skip(f"a porta {porta} está em uso, e não há outra rede (unshare e ip)")


@unix
@pytest.mark.parametrize(("comando", "saida"), EXECUTAVEIS)
def test_cada_bloco_sh_mostra_o_que_o_texto_diz_e_nao_deixa_nada(
    comando, saida, abrir, copia_do_projeto, rede_propria
):
    pular_o_que_falta(comando, rede_propria)
    antes = sorted(copia_do_projeto.rglob("*"))
    como = {"cwd": copia_do_projeto, "env": como_quem_le(), "stderr": subprocess.STDOUT}
    processo = abrir(*rede_propria, "sh", "-c", comando, start_new_session=True, **como)
    try:
        # A saída só acaba quando acabam os processos que a têm; o grupo, quando acabam todos.
        visto = processo.resto()
        assert processo.wait() == 0, visto
        esperar_ate(lambda: acabou(processo.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(processo.pid, signal.SIGKILL)
    assert sorted(copia_do_projeto.rglob("*")) == antes
    conferir(visto, saida)


def acabou(grupo: int) -> bool:
    try:
        os.killpg(grupo, 0)
    except (ProcessLookupError, PermissionError) as exc:  # no macOS, se só há zumbis, esta última
        return isinstance(exc, ProcessLookupError)
    return False


@linux
def test_os_dois_terminais_mostram_o_que_o_texto_diz(abrir, terminal, copia_do_projeto):
    do_servidor, do_cliente, do_servidor_depois = textos("console")
    iniciar_o_servidor, _ = do_servidor.splitlines()
    iniciar_o_cliente, pergunta, _ = do_cliente.splitlines()

    # A porta é outra, para que a 7007 possa estar em uso por quem roda os testes.
    with contextlib.closing(Terminal()) as outro:
        comando = (iniciar_o_servidor.removeprefix("$ "), "--porta", "0")
        servidor = abrir(*comando, cwd=copia_do_projeto, **terminal.pontas())
        comando = (iniciar_o_cliente.removeprefix("$ "), "--porta", str(terminal.porta()))
        cliente = abrir(*comando, cwd=copia_do_projeto, **outro.pontas())
        outro.esperar("Mensagem: ")
        outro.digitar(pergunta.removeprefix("Mensagem: ").encode() + b"\n")
        assert (cliente.wait(), servidor.wait()) == (0, 0)
        telas = (terminal.tela(), outro.tela())

    for tela, texto in zip(telas, (do_servidor + do_servidor_depois, do_cliente)):
        mostrado = re.sub(r"^\$ .*\n", "", texto, flags=re.MULTILINE)
        conferir(tela, mostrado.replace("7007", "48080"))


@linux
def test_o_exemplo_curto_e_a_conversa_inteira_em_onze_passos(abrir, rede_propria):
    """Os dois blocos, como estão: o servidor, e o cliente quando ele já escuta."""
    servidor, cliente = textos("python")
    pular_o_que_falta(servidor, rede_propria)
    ja_escuta = "grep -q ':1B60 00000000:0000 0A ' /proc/net/tcp"  # a 7008, e o estado LISTEN
    dois = f'"$0" -c "$1" & until {ja_escuta}; do sleep 0.01; done; "$0" -c "$2"; wait'
    comando = (*rede_propria, "sh", "-c", dois, sys.executable, servidor, cliente)
    processo = abrir(*comando, env=como_quem_le())
    assert (processo.resto(), processo.erros()) == ("olá\n", "")
    passos = re.findall(r"# passo (\d+)$", servidor + cliente, re.MULTILINE)
    assert sorted(map(int, passos)) == list(range(1, 12))


def test_o_readme_se_le_de_uma_vez():
    assert README.count("\n") <= 380
    assert len(README.split()) <= 3900


def test_as_opcoes_do_readme_sao_as_da_ajuda():
    tabela = README.partition("\n| opção |")[2].partition("\n\n")[0].splitlines()[2:]
    celulas = [[celula.strip() for celula in linha.strip("|").split("|")] for linha in tabela]
    for coluna, script in enumerate(SCRIPTS.values(), 1):
        ajuda = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
        na_ajuda = re.findall(r"^ *(?:-k, )?(--\w\S+).*\(padrão: (.+)\)$", ajuda, re.MULTILINE)
        no_readme = [
            (re.search("--[^`]+", linha[0])[0], re.search(r"\((.+)\)$", linha[coluna])[1])
            for linha in celulas
            if linha[coluna]
        ]
        assert no_readme == na_ajuda


@unix
def test_os_status_de_saida_sao_os_do_codigo(
    abrir_servidor, abrir_cliente, ouvinte, porta_sem_ninguem
):
    servidor = abrir_servidor()
    em_uso = rodar(*PYTHON, SERVIDOR, "--porta", str(servidor.porta)).returncode
    boa = rodar_cliente("oi", porta=servidor.porta).returncode
    recusada = rodar_cliente("oi", porta=porta_sem_ninguem).returncode
    vistos = {
        "servidor": [servidor.wait(), em_uso, rodar(*PYTHON, SERVIDOR, "-z").returncode],
        "cliente": [boa, recusada, rodar_cliente("", porta=porta_sem_ninguem).returncode],
    }
    for sinal in (signal.SIGINT, signal.SIGTERM):
        cliente = abrir_cliente(ouvinte.getsockname()[1], "oi")
        with ouvinte.accept()[0]:  # o cliente já passou do começo, e espera a resposta
            for lado, processo in (("servidor", abrir_servidor()), ("cliente", cliente)):
                processo.send_signal(sinal)
                assert processo.wait() == -sinal
                vistos[lado].append(128 + sinal)  # é o que o shell mostra
    tabela = README.partition("\n| status |")[2].partition("\n\n")[0].splitlines()[2:]
    contados = [int(linha.split("|")[1]) for linha in tabela]
    assert vistos == {"servidor": contados, "cliente": contados}


def test_cada_ligacao_dentro_do_projeto_leva_a_algum_lugar():
    titulos = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    ancoras = {re.sub(r"[^\w -]", "", titulo.lower()).replace(" ", "-") for titulo in titulos}
    ligacoes = re.findall(r"\]\(([^)\s]+)\)", README)
    assert ligacoes
    for ligacao in ligacoes:
        if ligacao.startswith("#"):
            assert ligacao[1:] in ancoras, ligacao
        elif not ligacao.startswith("https://"):
            assert (RAIZ / ligacao).exists(), ligacao
