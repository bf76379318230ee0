"""Commands that read answers from stored runs, a module each."""
