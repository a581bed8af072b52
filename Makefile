# The one front door: `make help` lists what there is. Everything is built out of source, in build/<preset>/.
# GODWIT_NO_DEPS=1 skips the look for missing packages. JOBS=n builds with n processes.

JOBS ?= $(shell nproc)
TIME ?= 60
BUILD := build
deps = @if [ -z "$$GODWIT_NO_DEPS" ] && [ -x scripts/deps.sh ]; then scripts/deps.sh --tools=$(1); fi
preset = cmake --preset $(1) >/dev/null && cmake --build $(BUILD)/$(1) -j $(JOBS) $(if $(2),--target $(2)) -- --quiet

.DEFAULT_GOAL := help
.PHONY: help deps build build-% board demo test test-full test-one test-rv32 test-cortex-m measure-rv32 \
        powercut mutants size stack cov lint fuzz bench bench-boot \
        bench-patch clean
.PHONY: demo-static demo-desk demo-qemu demo-serial powercut-qemu soak-qemu bench-agent bench-boards bench-server

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9%-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install what is missing (Debian and Ubuntu packages; says which)
	@scripts/deps.sh --tools=full

build: ## programs, tests and tools for this PC, in build/host
	$(call deps,build)
	@$(call preset,host)

build-%: ## the same with another preset: host-asan, host-clang, host-cov, fuzz, rv32, cortex-m4
	$(call deps,test)
	@$(call preset,$*)

board: ## bootloader and images for the emulated board (ports/qemu-rv32), in build/rv32-board
	$(call deps,test)
	@$(call preset,rv32-board)

demo: build ## server, broker and eight devices: notified, polling; a pulled plug, a bad link, a crash, false servers
	@scripts/demo.py $(BUILD)/host/bin

demo-static: build ## without godwitd: eight devices update over HTTPS from nginx, most with something in their way
	@scripts/demo_static.py $(BUILD)/host/bin

demo-desk: build ## without a network: a release from the desk to a verified boot, step by step
	@scripts/demo.sh $(BUILD)/host/bin

demo-qemu: build board ## three emulated boards at a server and its broker: a pulled plug, a crash, a forgery, an expired CA
	@scripts/demo_qemu.py $(BUILD)/host/bin

demo-serial: build board ## an emulated board without a network: factory, updates over its serial line, pulled plugs, recovery
	@scripts/demo_serial.sh $(BUILD)/host/bin

test: ## all quick tests, ASan and UBSan included (ten minutes on two cores)
	$(call deps,test)
	@scripts/test.py quick --jobs $(JOBS)

test-full: ## everything: quick tests, all power cuts, mutants, fuzzing, coverage, sizes
	$(call deps,full)
	@scripts/test.py full --jobs $(JOBS)

test-one: ## one suite by name: make test-one NAME=test_cbor
	$(call deps,test)
	@scripts/test.py one --name "$(NAME)" --jobs $(JOBS)

test-rv32: ## unit tests, known answers and sampled power cuts on an emulated RV32IMC
	$(call deps,test)
	@$(call preset,target-rv32)
	@tests/target/emulate.py rv32 --jobs $(JOBS)

test-cortex-m: ## the same on an emulated Cortex-M3
	$(call deps,test)
	@$(call preset,target-cortex-m)
	@tests/target/emulate.py cortex-m --jobs $(JOBS)

measure-rv32: ## instructions of hashing, verifying and decrypting on RV32IMC, and their code size
	$(call deps,test)
	@$(call preset,target-rv32)
	@scripts/measure.py

powercut: ## power cuts at every flash operation, nested to depth 2; REPLAY=string runs one again
	$(call deps,build)
	@$(call preset,host,powercut)
	@$(BUILD)/host/bin/powercut $(if $(REPLAY),--replay "$(REPLAY)",--tier full)

powercut-qemu: build board ## updates on the emulated board, cut at every flash write; SAMPLE=n of each kind, KIND=one, REPLAY=kind:state
	@tests/qemu/powercut.py --jobs $(JOBS) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(KIND),--kind $(KIND)) $(if $(REPLAY),--replay $(REPLAY))

mutants: ## small faults in the code, each of which a named test must catch
	$(call deps,build)
	@tests/mutants/run.py --jobs $(JOBS)

size: ## code size for rv32imc and Cortex-M4 against the budgets
	$(call deps,test)
	@scripts/size.py

stack: ## the deepest stack of each entry point
	$(call deps,test)
	@scripts/stack.py

cov: ## line coverage of lib/ by the unit tests and the quick power cuts
	$(call deps,test)
	@scripts/test.py cov --jobs $(JOBS)

lint: ## style gate: lengths, forbidden patterns, exported names, clang and cppcheck warnings
	$(call deps,test)
	@scripts/lint.py

fuzz: ## every fuzz target with libFuzzer for TIME seconds
	$(call deps,full)
	@$(call preset,fuzz)
	@scripts/fuzz.sh $(BUILD)/fuzz $(TIME)

bench: ## install pipeline against AES-CTR + SHA-256 alone
	$(call deps,build)
	@$(call preset,host)
	@$(BUILD)/host/bench/bench_install

bench-patch: ## gwpatch against bsdiff, xdelta3, zstd, xz on pairs of firmware: make bench-patch CORPUS=dir
	$(call deps,bench)
	@$(call preset,host)
	@bench/patch/run.py "$(CORPUS)" --bin $(BUILD)/host --out $(BUILD)/bench-patch

soak-qemu: build board ## an emulated board is updated 50 times over the network, its plug pulled at random; UPDATES=n, SEED=n
	@tests/online/soak.py --updates $(or $(UPDATES),50) $(if $(SEED),--seed $(SEED))

bench-boards: build board ## 20 emulated boards update together: time, bytes, how late their own work was; BOARDS=n
	@bench/boards/run.py $(BUILD)/host/bin --boards $(or $(BOARDS),20)

bench-agent: ## 1 000 devices update at once from nginx: bytes, retries, time; DEVICES=n
	$(call deps,build)
	@$(call preset,host)
	@bench/agent/run.py $(BUILD)/host --devices $(or $(DEVICES),1000)

bench-server: ## the server: reports, notifications, memory; downloads, looks, handshakes against nginx; ROUNDS=n PART=name
	$(call deps,test)
	@$(call preset,host)
	@rm -rf $(BUILD)/bench-server; missed=0; part="$(PART)"; rounds="--rounds $(or $(ROUNDS),5)"; \
	case "$$part" in "" | writer) $(BUILD)/host/bench/bench-reports $(BUILD)/bench-server || missed=1 ;; esac; \
	case "$$part" in "" | nginx) bench/server/run.py $(BUILD)/host $$rounds || missed=1 ;; esac; \
	case "$$part" in writer | nginx) ;; *) \
	bench/server/fleet.py $(BUILD)/host $$rounds $${part:+--part "$$part"} || missed=1 ;; esac; exit $$missed

bench-boot: ## the emulated board from reset to an image of 128 KB
	$(call deps,test)
	@$(call preset,host)
	@$(call preset,rv32-board)
	@bench/boot.py $(BUILD)/host/bin

clean: ## remove what was built
	@rm -rf $(BUILD)
