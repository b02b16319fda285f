"""Sending mails, beside smtplib."""
