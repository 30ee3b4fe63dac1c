"""Real servers for tests, without containers: started on free ports, in folders of their own."""
