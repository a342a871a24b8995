"""Cada erro é uma linha em português, com o texto do sistema e o que fazer."""

import ast
import errno
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
from conftest import (
    CLIENTE,
    PYTHON,
    SERVIDOR,
    do_sistema,
    eco,
    limitar_o_arquivo_a,
    linux,
    rodar,
    uma_linha_de_erro,
    unix,
)

AMBOS = pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=["servidor", "cliente"])
MENSAGEM = {SERVIDOR: [], CLIENTE: ["oi"]}  # com ela, o cliente não lê a entrada


def erro_de(script: Path, status: int, *argumentos: str, **como) -> str:
    processo = rodar(*PYTHON, script, *argumentos, **como)
    assert (processo.returncode, processo.stdout or b"") == (status, b""), processo.stderr
    return uma_linha_de_erro(processo.stderr, script)


@AMBOS
@pytest.mark.parametrize(
    ("argumentos", "erro"),
    [
        (["--porta", "65536"], r"--porta '65536': use um número inteiro de [01] a 65535"),
        (["--porta", "8\n\x1b"], r"--porta '8\\n\\x1b': use um número inteiro de [01] a 65535"),
        (["--tempo-limite", "0.0"], r"--tempo-limite '0\.0': use um número até 86400, como 0\.5"),
        (["--tempo-limite=0,5"], r"--tempo-limite '0,5': use um número até 86400, como 0\.5"),
        (["--tempo-limite=1.2.3"], r"--tempo-limite '1\.2\.3': use um número até 86400, .*"),
        (["--tempo-limite=²"], r"--tempo-limite '²': use um número até 86400, como 0\.5"),
        (["--tempo-limite=86400.1"], r"--tempo-limite '86400\.1': use um número até 86400, .*"),
        (["--porta", "0" * 5000 + "7007"], r"--porta '0{5000}7007': use um número inteiro .*"),
        (["--host"], r"option --host requires argument"),
        (["-z", "oi"], r"option -z not recognized"),
    ],
)
def test_um_argumento_que_nao_serve_e_uma_linha_e_status_2(script, argumentos, erro):
    visto = erro_de(script, 2, *argumentos)
    assert re.fullmatch(rf"uso incorreto: {erro} \(veja --help\)", visto)


def test_a_porta_0_nao_serve_para_conectar_e_isso_se_diz_antes_de_ler_a_mensagem():
    with open(os.devnull, "wb") as ilegivel:
        erro = erro_de(CLIENTE, 2, "--porta", "0", stdin=ilegivel)
    assert erro == "uso incorreto: --porta '0': use um número inteiro de 1 a 65535 (veja --help)"


@AMBOS
def test_os_limites_sao_aceitos_e_as_opcoes_podem_ser_abreviadas(script):
    """Quem nega é o nome (status 1), e não a leitura dos argumentos (status 2)."""
    sem_host = ("--ho", "a..b", *MENSAGEM[script])
    erro_de(script, 1, "--port=65535", "--tempo", "86400", *sem_host)
    erro_de(script, 1, "--porta", "1", "--tempo-limite=.001", *sem_host)


def test_uma_palavra_a_mais_diz_que_faltam_aspas_ou_os_hifens_da_opcao():
    assert erro_de(CLIENTE, 2, "olá", "mundo\n") == (
        r"uso incorreto: várias mensagens, ['olá', 'mundo\n']: use aspas, ou -- nas opções "
        "(veja --help)"
    )
    assert erro_de(SERVIDOR, 2, "\u2013porta\n") == (
        "uso incorreto: argumento inesperado, '\u2013porta\\n': cada opção começa com -- "
        "(veja --help)"
    )


def test_uma_porta_em_uso_diz_para_escolher_outra(servidor):
    assert re.fullmatch(
        rf"o servidor parou: \[\w+ {errno.EADDRINUSE}\] .* "
        r"\(a porta está em uso: escolha outra com --porta\)",
        erro_de(SERVIDOR, 1, "--porta", str(servidor.porta)),
    )


@pytest.mark.parametrize(
    ("erro", "dica"),
    [
        ("EACCES", "o sistema não permite essa porta a esta conta: escolha outra com --porta"),
        ("EADDRNOTAVAIL", "o endereço não é desta máquina: confira --host"),
    ],
)
def test_o_que_impede_de_escutar_diz_o_que_fazer(strace, erro, dica):
    servidor = rodar(*strace(f"bind:error={erro}"), *PYTHON, SERVIDOR)
    do_erro = do_sistema(getattr(errno, erro))
    assert servidor.returncode == 1
    assert uma_linha_de_erro(servidor.stderr, SERVIDOR) == f"o servidor parou: {do_erro} ({dica})"


@linux
def test_um_disco_cheio_e_um_erro_mesmo_no_meio_da_linha(tmp_path):
    with (tmp_path / "registro").open("wb") as registro:
        como = {"stdout": registro, "preexec_fn": limitar_o_arquivo_a(20)}
        erro = erro_de(SERVIDOR, 1, "--porta", "0", **como)
    assert erro == f"o servidor parou: {do_sistema(errno.EFBIG)}"


@unix
def test_um_pipe_fechado_no_meio_encerra_o_servidor_depois_do_eco(servidor_continuo):
    servidor_continuo.stdout.close()
    assert eco(servidor_continuo.porta, b"oi") == b"oi"
    erro = uma_linha_de_erro(servidor_continuo.erros(), SERVIDOR)
    assert erro == f"o servidor parou: {do_sistema(errno.EPIPE)}"
    assert servidor_continuo.wait() == 1


@unix
@AMBOS
def test_sem_a_saida_de_erros_o_erro_nao_vai_parar_na_outra(script):
    processo = rodar("sh", "-c", 'exec "$@" 2>&-', "sh", *PYTHON, script, "--porta", "99999")
    assert (processo.returncode, processo.stdout) == (2, b"")


@AMBOS
def test_a_ajuda_e_a_docstring_e_os_padroes_dela_sao_os_do_codigo(script, monkeypatch):
    ajuda = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")), clean=False)
    for pedido in ("-h", "--help"):
        processo = rodar(*PYTHON, script, "um", "dois", pedido)
        assert (processo.returncode, processo.stdout, processo.stderr) == (0, ajuda.encode(), b"")
    assert max(map(len, ajuda.splitlines())) <= 79

    modulo = importlib.util.spec_from_file_location(script.stem, script)
    feito = importlib.util.module_from_spec(modulo)
    modulo.loader.exec_module(feito)
    monkeypatch.setattr(sys, "argv", [script.name, *MENSAGEM[script]])
    host, porta, tempo_limite, resto = feito.ler_argumentos()
    padroes = dict(re.findall(r"^  (?:-\w, )?--(\S+).*\(padrão: (.+)\)$", ajuda, re.MULTILINE))
    assert (padroes["host"], padroes["porta"]) == (host, str(porta))
    assert padroes["tempo-limite"] == f"{tempo_limite:g}"
    assert resto == (MENSAGEM[script] or False)
    assert script == CLIENTE or padroes["continuo"] == "só uma"
    assert script == SERVIDOR or f"até {feito.TAMANHO_DO_BLOCO} bytes" in ajuda
