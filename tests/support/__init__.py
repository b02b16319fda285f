"""What several tests share: real daemons, outside programs, scripted peers."""
