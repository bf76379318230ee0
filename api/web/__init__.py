"""The pages: a workbench in the browser over the public ``/v1`` interface."""
