"""The process that looks into papers from strangers; it imports nothing of ours and nothing of ours imports it."""
