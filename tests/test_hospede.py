"""O par como hóspede: em uma thread, em um teste, e em um editor, cuja janela é um objeto."""

import concurrent.futures
import contextlib
import importlib
import io
import re
import runpy
import signal
import socket
import sys
import threading
import types

import pytest
from apoio import CLIENTE, SERVIDOR, chamar
from maquina import unix
from rede import TAMANHO_DO_BLOCO, ecoar_um_bloco, esperar_ate, receber_tudo

import cliente_socket
import servidor_socket


@pytest.fixture
def na_janela(capfd):
    """na_janela(editor, script, ...): o status e o que se vê nela, que não tem buffer nem fileno.

    A do Thonny fica até no lugar do sys.__stdin__; a de um caderno, ou de quem corrige, pode
    não ter nem isatty nem codificação.
    """

    vista: list[str] = []

    def executar(editor: str, *comando: object) -> tuple[int, str]:
        janela = types.SimpleNamespace(write=vista.append, flush=lambda: None)
        janela.readline = lambda: "olá\r\n"
        if editor != "caderno":
            janela.isatty, janela.encoding = lambda: True, "utf-8"
        with pytest.MonkeyPatch.context() as no_editor:
            no_editor.setattr(sys, "argv", [str(parte) for parte in comando])
            for nome in ("stdin", "stdout", "stderr"):
                no_editor.setattr(sys, nome, janela)
                no_editor.setattr(sys, f"__{nome}__", janela if editor == "Thonny" else None)
            with pytest.raises(SystemExit) as fim:
                runpy.run_path(str(comando[0]), run_name="__main__")
        # O Thonny não se distingue do processo de um script; os outros ficam com o Ctrl+C deles.
        do_editor = signal.signal(signal.SIGINT, signal.default_int_handler)
        assert (do_editor is signal.SIG_DFL) == (editor == "Thonny")
        assert capfd.readouterr() == ("", "")
        return fim.value.code, "".join(vista)

    executar.vista = lambda: "".join(vista)
    return executar


def dizer_ola(conn: socket.socket) -> None:
    conn.sendall("olá".encode())
    assert receber_tudo(conn) == "olá".encode()


@pytest.mark.parametrize("editor", ["IDLE", "Thonny", "caderno"])
def test_o_servidor_escreve_na_janela_e_mostra_quem_chega(na_janela, ao_escutar, editor):
    ao_escutar(na_janela.vista, dizer_ola)
    status, visto = na_janela(editor, SERVIDOR, "--porta", "0")
    quem = r"(127\.0\.0\.1:\d+)"
    relato = rf"{quem}: conexão aceita\n\1: bytes lidos: 4, 'olá', fim limpo\n"
    assert (status, bool(re.fullmatch(rf"Escutando em .*\n{relato}", visto))) == (0, True), visto


@pytest.mark.parametrize(
    ("editor", "argumentos", "lido", "visto"),
    [
        ("IDLE", [], "olá\r", "Mensagem: olá\r\n"),  # o \r não é da quebra que o Enter põe
        ("Thonny", [], "olá\r", "Mensagem: olá\r\n"),
        ("caderno", ["oi"], "oi", "oi\n"),
    ],
)
def test_o_cliente_so_pergunta_no_terminal(na_janela, parceiro, editor, argumentos, lido, visto):
    lidos = []
    porta = str(parceiro(ecoar_um_bloco(lidos)))
    assert na_janela(editor, CLIENTE, "--porta", porta, *argumentos) == (0, visto)
    assert lidos == [lido.encode()]


def test_os_dois_main_rodam_em_threads_e_nao_mudam_nada_no_processo():
    tratador = signal.getsignal(signal.SIGINT)
    with contextlib.redirect_stdout(io.StringIO()) as vista:
        with concurrent.futures.ThreadPoolExecutor() as equipe:
            servidor = equipe.submit(servidor_socket.main, ["--porta", "0"])
            esperar_ate(lambda: "\n" in vista.getvalue() or servidor.done())
            porta = re.search(r":(\d+) ", vista.getvalue())[1]
            cliente = equipe.submit(cliente_socket.main, ["--porta", porta, "olá"])
            assert (cliente.result(), servidor.result()) == (0, 0)
        assert servidor_socket.main(["-z"]) == cliente_socket.main(["-z"]) == 2
    quem = r"(127\.0\.0\.1:\d+)"
    relato = rf"{quem}: conexão aceita\nolá\n\1: bytes lidos: 4, 'olá', fim limpo\n"
    assert re.fullmatch(rf"Escutando em .*\n{relato}", vista.getvalue())
    assert signal.getsignal(signal.SIGINT) is tratador


@pytest.mark.parametrize("script", [SERVIDOR, CLIENTE], ids=["servidor", "cliente"])
def test_o_comando_so_mexe_no_ctrl_c_de_um_processo_que_e_so_dele(script, monkeypatch):
    def mexeu() -> bool:
        assert importlib.import_module(script.stem).comando() == 2
        return signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_DFL

    monkeypatch.setattr(sys, "argv", [script.name, "-z"])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not mexeu()
    monkeypatch.setattr(sys, "__stdout__", sys.stdout)
    assert mexeu()
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert not mexeu()


@unix
def test_o_ctrl_c_fecha_a_conexao_e_quem_chamou_o_main_vive(parceiro, ao_escutar):
    vista = io.StringIO()

    def interromper(conn: socket.socket) -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert conn.recv(TAMANHO_DO_BLOCO) == b""

    def interromper_o_servidor(conn: socket.socket) -> None:
        esperar_ate(lambda: "conexão aceita" in vista.getvalue())
        interromper(conn)

    porta = str(parceiro(lambda conn: interromper(conn) if conn.recv(2) else None))
    ao_escutar(vista.getvalue, interromper_o_servidor)
    # A exceção guarda a pilha, e nela o que o main não fechou.
    with pytest.raises(KeyboardInterrupt) as _no_cliente:
        chamar(CLIENTE, "--porta", porta, "oi")
    with pytest.raises(KeyboardInterrupt) as _no_servidor:
        chamar(SERVIDOR, "--porta", "0", "--tempo-limite", "5", saida=vista)
