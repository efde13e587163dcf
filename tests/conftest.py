"""What all folders of tests share. That this file is here makes ``harness`` importable in them."""
