"""As paredes do projeto: dois scripts curtos, que se leem do começo ao fim."""

import ast
import os
import re

import pytest
from apoio import CLIENTE, RAIZ, SERVIDOR, rodar
from maquina import precisa_de

cada_script = pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=lambda p: p.stem)


@precisa_de("git")
def test_o_que_se_ve_ao_abrir_o_projeto_sao_cinco_nomes():
    # Quem roda os testes pode não ser o dono da cópia.
    listagem = rodar("git", "-c", "safe.directory=*", "ls-files", cwd=RAIZ)
    if listagem.returncode or not listagem.stdout:
        pytest.skip("esta cópia do projeto não é um repositório do git")
    topo = {caminho.partition("/")[0] for caminho in listagem.stdout.decode().splitlines()}
    cinco = {SERVIDOR.name, CLIENTE.name, "README.md", "tests", "pyproject.toml"}
    assert {nome for nome in topo if not nome.startswith(".")} - {"findings"} == cinco


@cada_script
def test_cada_script_e_executavel_se_le_de_uma_vez_e_comeca_pela_rede(script):
    assert os.access(script, os.X_OK), f"a cópia perdeu os modos: chmod 744 {script.name}"
    texto = script.read_text(encoding="utf-8")
    assert texto.startswith("#!/usr/bin/env python3\n")
    assert texto.count("\n") <= 155
    resto = texto.partition("\n# Daqui para baixo, nada de rede: ")[2]
    assert 0 < len(resto.splitlines()[1:]) <= 84
    assert not re.search(r"\b(serv_socket|client_socket|conn)\.", resto)
    for no in ast.walk(ast.parse(texto)):
        if isinstance(no, ast.FunctionDef):
            assert no.end_lineno - no.lineno < 30, no.name
            assert ast.get_docstring(no)


def test_os_onze_passos_estao_no_codigo_na_ordem_em_que_acontecem_em_cada_script():
    for script, ordem in ((SERVIDOR, [1, 2, 3, 4, 8, 9, 11]), (CLIENTE, [5, 6, 7, 10])):
        passos = re.findall(r"# passo (\d+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
        assert [int(passo) for passo in passos] == ordem
