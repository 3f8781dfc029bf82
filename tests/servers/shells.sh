# What judges what is written for shells and for `man`. It starts nothing. Source it after common.sh.
# shellcheck shell=bash

shells_ready() {
    installed mandoc mandoc
    installed zsh zsh
    installed fish fish
}

shells_serve() { :; }
