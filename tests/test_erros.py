"""Cada erro é uma linha em português, com o texto do sistema e o que fazer."""

import ast
import errno
import importlib
import re
import sys

import pytest
from apoio import CLIENTE, PYTHON, SERVIDOR, chamar, erro_de, rodar, uma_linha_de_erro
from maquina import do_sistema, limitar_o_arquivo_a, linux, unix
from rede import eco, ninguem_bateu

AMBOS = pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=["servidor", "cliente"])
MENSAGEM = {SERVIDOR: [], CLIENTE: ["oi"]}  # com ela, o cliente não lê a entrada
FALHOU = "servidor_socket.py: erro: o servidor em '127.0.0.1' falhou: "
VALORES = {
    "--porta": ["65536", "8\n\x1b", "007007", "0" * 5000 + "7007"],
    "--tempo-limite": ["0.0", "0,5", "1.2.3", "²", "86400.1"],
}


@AMBOS
@pytest.mark.parametrize("opcao", VALORES)
def test_um_valor_que_nao_serve_e_uma_linha_e_status_2(script, opcao):
    regra = {
        "--porta": f"use um número inteiro de {'0' if script == SERVIDOR else '1'} a 65535",
        "--tempo-limite": "use um número até 86400, como 0.5",
    }
    for valor in VALORES[opcao]:
        erro = f"uso incorreto: {opcao} {valor!r}: {regra[opcao]} (veja --help)"
        assert erro_de(script, 2, opcao, valor) == erro


# Desconhecidas, sem o valor, com um valor a mais, e uma que seria --host ou --help.
OPCOES = [("--foo", "foo"), ("-5", "5"), ("--host", "host"), ("--help=sim", "help"), ("--h", "h")]


@AMBOS
@pytest.mark.parametrize(("argumento", "opcao"), OPCOES)
def test_uma_opcao_que_nao_serve_nao_se_conta_em_ingles(script, argumento, opcao):
    dica = "use como em --porta 7009" + {SERVIDOR: "", CLIENTE: "; -- antes da mensagem"}[script]
    erro = f"uso incorreto: a opção '{opcao}' não serve ({dica}) (veja --help)"
    assert erro_de(script, 2, argumento) == erro


def test_a_porta_0_nao_serve_para_conectar_e_isso_se_diz_antes_de_ler_a_mensagem(monkeypatch):
    monkeypatch.setattr(sys, "stdin", "ilegível")
    erro = erro_de(CLIENTE, 2, "--porta", "0")
    assert erro == "uso incorreto: --porta '0': use um número inteiro de 1 a 65535 (veja --help)"


@AMBOS
def test_os_limites_sao_aceitos_e_as_opcoes_podem_ser_abreviadas(script):
    """Quem nega é o nome (status 1), e não a leitura dos argumentos (status 2)."""
    sem_host = ("--ho", "a..b", *MENSAGEM[script])
    erro_de(script, 1, "--port=65535", "--tempo", "86400", *sem_host)
    erro_de(script, 1, "--porta", "1", "--tempo-limite=.001", *sem_host)


def test_uma_palavra_a_mais_diz_que_faltam_aspas_ou_os_hifens_da_opcao():
    assert erro_de(CLIENTE, 2, "olá", "mundo\n") == (
        r"uso incorreto: várias mensagens, ['olá', 'mundo\n']: ponha aspas duplas em volta "
        "(veja --help)"
    )
    assert erro_de(SERVIDOR, 2, "\u2013porta\n") == (
        "uso incorreto: argumento inesperado, '\u2013porta\\n': cada opção começa com -- "
        "(veja --help)"
    )


def test_o_que_impede_de_escutar_diz_o_que_fazer(ouvinte):
    em_uso = ["--porta", str(ouvinte.getsockname()[1])]
    de_outra = ["--host", "192.0.2.1"]  # só de exemplos (RFC 5737 § 3): não é desta máquina
    for codigo, argumentos, dica in (
        (errno.EADDRINUSE, em_uso, "a porta está em uso: escolha outra com --porta"),
        (errno.EADDRNOTAVAIL, de_outra, "o endereço não é desta máquina: confira --host"),
    ):
        erro = erro_de(SERVIDOR, 1, *argumentos)
        assert re.search(rf" falhou: \[\w+ {codigo}\] .* \({dica}\)$", erro), erro


@linux
def test_um_disco_cheio_e_um_erro_mesmo_no_meio_da_linha(tmp_path):
    with (tmp_path / "registro").open("wb") as registro:
        como = {"stdout": registro, "preexec_fn": limitar_o_arquivo_a(20)}
        servidor = rodar(*PYTHON, SERVIDOR, "--porta", "0", **como)
    erro = f"{FALHOU}{do_sistema(errno.EFBIG)}\n"
    assert (servidor.returncode, servidor.stderr.decode()) == (1, erro)


@unix
def test_um_pipe_fechado_no_meio_encerra_o_servidor_depois_do_eco(abrir_servidor):
    servidor = abrir_servidor("-k")
    servidor.stdout.close()
    assert eco(servidor.porta, b"oi") == b"oi"
    erro = f"{FALHOU}{do_sistema(errno.EPIPE)}\n"
    assert (servidor.wait(), servidor.erros()) == (1, erro)


@unix
@AMBOS
def test_sem_a_saida_de_erros_o_erro_nao_vai_parar_na_outra(script):
    processo = rodar("sh", "-c", 'exec "$@" 2>&-', "sh", *PYTHON, script, "--porta", "99999")
    assert (processo.returncode, processo.stdout) == (2, b"")


@linux
@AMBOS
@pytest.mark.parametrize(
    ("saida", "argumentos", "motivo"),
    [
        (">&-", [], "está fechada"),
        (">&-", ["--help"], "está fechada"),
        (">/dev/full", ["--help"], do_sistema(errno.ENOSPC)),
    ],
)
def test_uma_saida_que_falha_e_uma_linha(ouvinte, script, saida, argumentos, motivo):
    """Sem a saída, o descritor dela seria o do próximo socket."""
    argumentos = [*argumentos, *MENSAGEM[script], "--porta", str(ouvinte.getsockname()[1])]
    processo = rodar("sh", "-c", f'exec "$@" {saida}', "sh", *PYTHON, script, *argumentos)
    assert processo.returncode == 1
    assert uma_linha_de_erro(processo.stderr, script) == f"a saída falhou: {motivo}"
    assert ninguem_bateu(ouvinte)


@AMBOS
def test_a_ajuda_e_a_docstring_e_os_padroes_dela_sao_os_do_codigo(script):
    ajuda = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")), clean=False)
    processo = rodar(*PYTHON, script, "um", "dois", "--help")
    assert (processo.returncode, processo.stdout, processo.stderr) == (0, ajuda.encode(), b"")
    assert chamar(script, "um", "dois", "-h") == (0, ajuda, "")
    assert max(map(len, ajuda.splitlines())) <= 79

    modulo = importlib.import_module(script.stem)
    host, porta, tempo_limite, resto = modulo.ler_argumentos(MENSAGEM[script])
    padroes = dict(re.findall(r"^  (?:-\w, )?--(\S+).*\(padrão: (.+)\)$", ajuda, re.MULTILINE))
    assert (padroes["host"], padroes["porta"]) == (host, str(porta))
    assert padroes["tempo-limite"] == f"{tempo_limite:g}"
    assert resto == (MENSAGEM[script] or False)
    assert script == CLIENTE or padroes["continuo"] == "só uma"
    assert script == SERVIDOR or f"até {modulo.TAMANHO_DO_BLOCO} bytes" in ajuda
