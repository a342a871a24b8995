"""Cada erro é uma linha em português, com o texto do sistema, o endereço e o que fazer."""

import contextlib
import ctypes
import errno
import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CLIENTE, PRAZO, SERVIDOR, Servidor, do_sistema, eco, linux, uma_linha_de_erro

AMBOS = pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=["servidor", "cliente"])


def rodar(script: Path, *argumentos: str | bytes, **opcoes) -> subprocess.CompletedProcess[bytes]:
    opcoes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | opcoes
    return subprocess.run(
        [sys.executable, script, *argumentos], stdin=subprocess.DEVNULL, timeout=PRAZO, **opcoes
    )


def erro_de(script: Path, status: int, *argumentos: str | bytes, **opcoes) -> str:
    processo = rodar(script, *argumentos, **opcoes)
    assert (processo.returncode, processo.stdout or b"") == (status, b""), processo.stderr
    return uma_linha_de_erro(processo.stderr, script.name)


@AMBOS
@pytest.mark.parametrize("porta", ["-1", "65536", "99999999999999999999", "9" * 5000])
def test_uma_porta_fora_dos_limites_e_status_2(script, porta):
    assert re.search(
        r"--porta: .*(não está entre [01] e 65535|não é um número válido)",
        erro_de(script, 2, "--porta", porta),
    )


@AMBOS
@pytest.mark.parametrize("porta", ["", "abc", "80.0", "1e3", "0x50", "7 7"])
def test_uma_porta_que_nao_e_um_numero_inteiro_e_status_2(script, porta):
    erro = erro_de(script, 2, "--porta", porta)
    assert erro == f"--porta: {porta!r} não é um número válido (veja --help)"


def test_a_porta_0_serve_para_escutar_e_nao_para_conectar():
    assert "--porta: 0 não está entre 1 e 65535" in erro_de(CLIENTE, 2, "--porta", "0", "oi")


@AMBOS
@pytest.mark.parametrize("limite", ["0", "-1", "nan", "inf", "1e999", "-0.0"])
def test_um_limite_que_nao_e_finito_e_acima_de_zero_e_status_2(script, limite):
    erro = erro_de(script, 2, f"--tempo-limite={limite}")
    assert "não é um número finito acima de 0" in erro


@AMBOS
@pytest.mark.parametrize("limite", ["", "abc", "0,5", "1s"])
def test_um_limite_que_nao_e_um_numero_e_status_2(script, limite):
    erro = erro_de(script, 2, "--tempo-limite", limite)
    assert erro == f"--tempo-limite: {limite!r} não é um número válido (veja --help)"


@pytest.mark.parametrize("limite", ["1e-9", "1e-300", "1e300", "4294967.296"])
def test_qualquer_limite_finito_acima_de_zero_e_aceito(abrir, limite):
    abrir(Servidor, "--tempo-limite", limite)


@AMBOS
@pytest.mark.parametrize("opcao", ["--porta", "--host", "--tempo-limite"])
def test_uma_opcao_sem_valor_e_status_2(script, opcao):
    assert erro_de(script, 2, opcao) == f"{opcao}: falta o valor (veja --help)"


@AMBOS
@pytest.mark.parametrize("argumento", ["--nao-existe", "--port", "-z"])
def test_uma_opcao_desconhecida_e_status_2(script, argumento):
    assert erro_de(script, 2, argumento).startswith(f"argumentos inesperados: {argumento!r}")


@AMBOS
def test_um_argumento_com_quebra_de_linha_ou_bytes_soltos_nao_quebra_a_linha_de_erro(script):
    erro = erro_de(script, 2, "um", b"dois\n\x1b[31m\xff")
    assert erro.isprintable()
    assert r"dois\n\x1b[31m\udcff" in erro


def test_uma_mensagem_sem_aspas_recebe_a_dica_das_aspas():
    erro = erro_de(CLIENTE, 2, "olá", "mundo")
    assert erro == (
        "argumentos inesperados: 'mundo'; mensagem com espaços pede aspas (veja --help)"
    )


@pytest.mark.parametrize("argumento", ["-kx", "--continuo=sim"])
def test_uma_opcao_que_nao_tem_valor_o_recusa(argumento):
    assert erro_de(SERVIDOR, 2, argumento).endswith("(veja --help)")
    assert "ignored" not in erro_de(SERVIDOR, 2, argumento)


def test_uma_porta_em_uso_diz_para_escolher_outra(servidor):
    assert erro_de(SERVIDOR, 1, "--porta", str(servidor.porta)) == (
        f"não foi possível escutar em 127.0.0.1:{servidor.porta}: "
        f"{do_sistema(errno.EADDRINUSE)} (a porta está em uso: escolha outra com --porta)"
    )


def test_um_endereco_que_nao_e_da_maquina_diz_para_conferir_o_host():
    erro = erro_de(SERVIDOR, 1, "--porta", "0", "--host", "192.0.2.77")
    assert erro == (
        f"não foi possível escutar em 192.0.2.77:0: {do_sistema(errno.EADDRNOTAVAIL)} "
        "(o endereço não é desta máquina: confira --host)"
    )


@pytest.mark.parametrize("host", ["nao-existe.invalid", "", "a..b", "x" * 70, "nó\nde\x1bteste"])
def test_um_host_que_nao_existe_e_um_erro_de_uma_linha(host):
    erro = erro_de(SERVIDOR, 1, "--host", host)
    assert erro.startswith(f"não foi possível encontrar o host {host!r} (confira --host): ")


def largar_o_privilegio_das_portas_baixas() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    pr_capbset_drop, cap_net_bind_service = 24, 10
    assert os.geteuid() or libc.prctl(pr_capbset_drop, cap_net_bind_service, 0, 0, 0) == 0


@linux
def test_uma_porta_baixa_sem_privilegios_diz_para_escolher_outra():
    primeira_livre = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    if int(primeira_livre) < 1024:
        pytest.skip("este sistema deixa qualquer um escutar em portas baixas")
    erro = erro_de(SERVIDOR, 1, "--porta", "1023", preexec_fn=largar_o_privilegio_das_portas_baixas)
    assert erro == (
        f"não foi possível escutar em 127.0.0.1:1023: {do_sistema(errno.EACCES)} "
        "(porta abaixo de 1024 exige privilégios: escolha outra com --porta)"
    )


@linux
def test_uma_saida_cheia_e_um_erro_de_uma_linha(com_e_sem_buffer):
    with open("/dev/full", "wb") as cheia:
        assert erro_de(SERVIDOR, 1, "--porta", "0", stdout=cheia) == (
            f"não foi possível escrever na saída padrão: {do_sistema(errno.ENOSPC)}"
        )


@linux
def test_um_disco_que_enche_no_meio_da_linha_e_um_erro(com_e_sem_buffer, tmp_path):
    """O limite de tamanho de arquivo faz a escrita parar no byte 20, como um disco cheio."""
    with (tmp_path / "registro").open("wb") as registro:
        erro = erro_de(
            SERVIDOR,
            1,
            *("--porta", "0"),
            stdout=registro,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
        )
    assert erro == f"não foi possível escrever na saída padrão: {do_sistema(errno.EFBIG)}"


@AMBOS
def test_a_ajuda_em_um_cano_fechado_e_um_erro_de_uma_linha(script, com_e_sem_buffer):
    leitura, escrita = os.pipe()
    os.close(leitura)
    with os.fdopen(escrita, "wb") as cano:
        assert erro_de(script, 1, "--help", stdout=cano) == (
            f"não foi possível escrever na saída padrão: {do_sistema(errno.EPIPE)}"
        )


def test_um_cano_fechado_no_meio_encerra_o_servidor_depois_do_eco(
    com_e_sem_buffer, servidor_continuo
):
    servidor_continuo.popen.stdout.close()
    with servidor_continuo.conectar() as client_socket:
        client_socket.sendall(b"oi")
        client_socket.shutdown(socket.SHUT_WR)
        assert client_socket.recv(10) == b"oi"
        assert client_socket.recv(10) == b""
    erro = uma_linha_de_erro(servidor_continuo.erros(), "servidor_socket.py")
    assert erro == f"não foi possível escrever na saída padrão: {do_sistema(errno.EPIPE)}"
    assert servidor_continuo.status() == 1


def test_uma_saida_fechada_e_notada_antes_de_escutar():
    comando = ["sh", "-c", 'exec "$0" "$1" --porta 0 >&-', sys.executable, str(SERVIDOR)]
    processo = subprocess.run(comando, stderr=subprocess.PIPE, timeout=PRAZO)
    assert processo.returncode == 1
    erro = uma_linha_de_erro(processo.stderr, SERVIDOR.name)
    assert erro == f"não há saída padrão: {do_sistema(errno.EBADF)}"


@linux
def test_sem_descritores_livres_o_servidor_termina_com_uma_linha(servidor_continuo):
    usados = len(os.listdir(f"/proc/{servidor_continuo.pid}/fd"))
    resource.prlimit(servidor_continuo.pid, resource.RLIMIT_NOFILE, (usados, usados))
    # O Linux reserva o descritor ao começar o accept: o que já começou ainda atende um cliente.
    with contextlib.suppress(ConnectionError):
        eco(servidor_continuo, b"oi")
    erro = uma_linha_de_erro(servidor_continuo.erros(), "servidor_socket.py")
    assert erro == f"não foi possível aceitar uma conexão: {do_sistema(errno.EMFILE)}"
    assert servidor_continuo.status() == 1


@AMBOS
def test_a_ajuda_esta_em_portugues_e_mostra_cada_opcao_e_seu_padrao(script):
    processo = rodar(script, "--help")
    ajuda = processo.stdout.decode()
    assert (processo.returncode, processo.stderr) == (0, b"")
    assert ajuda.startswith(f"uso: {script.name} [-h] [--host HOST] [--porta PORTA]")
    for ingles in ("usage", "options", "positional", "default", "show this"):
        assert ingles not in ajuda
    esperado = {"--host HOST": "127.0.0.1", "--porta PORTA": "7007"}
    if script == SERVIDOR:
        esperado |= {"--tempo-limite SEGUNDOS": "30", "-k, --continuo": "atende uma e termina"}
    else:
        esperado |= {"--tempo-limite SEGUNDOS": "10", "MENSAGEM ": "pergunta ou lê a entrada"}
    opcoes = " ".join(ajuda.split())
    for opcao, padrao in esperado.items():
        assert re.search(rf"{opcao}[^()]*\(padrão: {padrao}\)", opcoes), (opcao, ajuda)


def test_stderr_fechado_nao_mistura_o_erro_na_saida(porta_sem_ninguem):
    comando = f'exec "$0" "$1" --porta {porta_sem_ninguem} oi 2>&-'
    processo = subprocess.run(
        ["sh", "-c", comando, sys.executable, CLIENTE], stdout=subprocess.PIPE, timeout=PRAZO
    )
    assert (processo.returncode, processo.stdout) == (1, b"")
