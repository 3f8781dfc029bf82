.PHONY: demo test test-slow lint bench times dist clean

# A sample shop in SQLite, exported to Parquet by the real binary, and what landed.
demo:
	docs/demo/run

# TESTS="-p rivet-tests kill" runs a part of them.
test:
	tests/run $(TESTS)

# SUITE=kills runs one of the slow suites.
test-slow:
	tests/run --slow $(SUITE)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# BENCH="--scale 0.1 --rounds 1" is a quick one; tests/bench/README.md has the rest.
bench:
	tests/bench/run $(BENCH)

# What a newcomer waits for, and an author: TIMES="demo release" is a part. An hour on two cores, all together.
times:
	tests/times $(TIMES)

# The packages, in dist/: host/packaging/README.md says what they are.
dist:
	host/packaging/dist

clean:
	cargo clean
	rm -rf demo dist .venv .servers
